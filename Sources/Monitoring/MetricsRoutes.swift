// The page that Prometheus reads.

import CoreMetrics
import Dispatch
package import HTTPExchange
package import Hummingbird
import MetricsText
import Settings
import StoreContract

/// `/metrics`, in Prometheus' text format or in that of OpenMetrics.
package struct MetricsRoutes: Sendable {
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
    package init(_ served: ServedQueue) {
        registry = Self.registry
        hasVLLMNames = served.configuration.server.metricsVLLMNames
        refresh = served.refreshMetrics
    }

    package func add(to router: Router<ServerContext>) {
        router.get("/metrics") { request, context in
            try context.caller.require(.metrics)
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
