// The stream of changes: while somebody looks, the page's parts are rendered once a second, for all who look at the same.

import Hummingbird
import JSONText
import ServiceLifecycle

/// Tells those who look what has changed. With nobody there it does nothing.
actor PageFeed {
    /// The parts of a page by the ids of their elements.
    typealias Parts = [String: String]

    private struct Watcher {
        let view: PageView
        let parts: AsyncStream<Parts>.Continuation
    }

    private let read: @Sendable (PageView) async throws -> Parts
    private let interval: Duration
    private var watchers: [Int: Watcher] = [:]
    private var count = 0
    private var ticks: Task<Void, Never>?

    /// Who is silent for so many turns is told that the server is still there, which also shows whether he is.
    private static let silentTurns = 10
    /// The most streams at once.
    static let limit = 64

    /// - Parameter read: renders what a view shows.
    init(every interval: Duration = .seconds(1), read: @escaping @Sendable (PageView) async throws -> Parts) {
        self.interval = interval
        self.read = read
    }

    /// The stream of what `view` shows, as server-sent events.
    nonisolated func response(_ view: PageView) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: ResponseBody { [self] writer in
                // The first byte at once, so that the browser knows that it is connected.
                try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
                guard let stream = await watch(view) else {
                    try await writer.write(ByteBuffer(string: "event: full\ndata: \n\n"))
                    return try await writer.finish(nil)
                }
                var sent = Parts()
                var silent = 0
                // A server that stops waits for its answers, and this one has no end.
                for await parts in stream.cancelOnGracefulShutdown() {
                    let changed = parts.filter { sent[$0.key] != $0.value }
                    if !parts.isEmpty { sent = parts }
                    silent = changed.isEmpty ? silent + 1 : 0
                    if !changed.isEmpty {
                        try await writer.write(ByteBuffer(bytes: Self.event(changed)))
                    } else if silent.isMultiple(of: Self.silentTurns) {
                        try await writer.write(ByteBuffer(string: ":\n\n"))
                    }
                }
                try await writer.finish(nil)
            })
    }

    /// What `view` shows, now and every second; slow readers miss what is between. Nil if too many look already.
    func watch(_ view: PageView) -> AsyncStream<Parts>? {
        guard watchers.count < Self.limit else { return nil }
        count += 1
        let number = count
        let (stream, parts) = AsyncStream.makeStream(of: Parts.self, bufferingPolicy: .bufferingNewest(1))
        parts.onTermination = { [weak self] _ in Task { await self?.end(number) } }
        watchers[number] = Watcher(view: view, parts: parts)
        if ticks == nil { ticks = Task { await run() } }
        return stream
    }

    /// How many look.
    var watcherCount: Int { watchers.count }

    private func end(_ number: Int) { watchers[number] = nil }

    private func run() async {
        while !watchers.isEmpty {
            let next = ContinuousClock.now + interval
            for view in Set(watchers.values.map(\.view)) {
                // A batch may be gone, or the store busy: the page keeps what it shows.
                let parts = (try? await read(view)) ?? [:]
                for watcher in watchers.values where watcher.view == view { watcher.parts.yield(parts) }
            }
            try? await Task.sleep(until: next, clock: .continuous)
        }
        ticks = nil
    }

    private static func event(_ parts: Parts) -> [UInt8] {
        let members = parts.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, .string($0.value)) }
        var output = Array("data: ".utf8)
        JSONValue.object(members).encode(into: &output)
        return output + Array("\n\n".utf8)
    }
}
