// The page that Prometheus reads.

import CoreMetrics
import Dispatch
import Hummingbird
import MetricsText

/// `/metrics`, in Prometheus' text format or in that of OpenMetrics.
struct MetricsRoutes: Sendable {
    /// What the whole process counts, from the first server on: swift-metrics knows one place for it.
    private static let registry: MetricsRegistry = {
        let registry = MetricsRegistry()
        MetricsSystem.bootstrap(registry)
        return registry
    }()

    private let registry: MetricsRegistry
    private let hasVLLMNames: Bool
    private let refresh: @Sendable () -> Void
    /// Scrapes wait for each other here, and block no thread that answers others.
    private let queue = DispatchQueue(label: "metrics")

    /// From now on the process counts.
    ///
    /// - Parameters:
    ///   - hasVLLMNames: whether vLLM's families are added.
    ///   - refresh: reads what is only known at a scrape; it may block.
    init(hasVLLMNames: Bool, refresh: @escaping @Sendable () -> Void) {
        registry = Self.registry
        self.hasVLLMNames = hasVLLMNames
        self.refresh = refresh
    }

    func add<Context: RequestContext>(to router: Router<Context>) {
        router.get("/metrics") { request, _ in
            let format = MetricsFormat(accept: request.headers[.accept])
            let text = await withCheckedContinuation { continuation in
                queue.async { continuation.resume(returning: page(format)) }
            }
            return Response(
                status: .ok, headers: [.contentType: format.contentType],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
        }
    }

    private func page(_ format: MetricsFormat) -> String {
        refresh()
        let own = registry.samples()
        return format.page(own + MetricSamples.ofProcess() + (hasVLLMNames ? VLLMNames.families(for: own) : []))
    }
}
