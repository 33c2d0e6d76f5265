// Requests of callers that wait for the answer, beside a daemon's batches.

import Engine
import Foundation
package import Platform
package import Prompts
import Runtime
import Tokenizers

/// What happens to an online request.
package enum OnlineEvent: Sendable {
    /// A text has grown by this, which no stop string takes back; only if the request streams.
    case text(choice: Int, String)
    /// All texts have ended.
    case finished(FinishedRequest)
    /// It has no result.
    case failed(OnlineFailure)
}

/// Why an online request has no result.
package enum OnlineFailure: Error, Sendable, CustomStringConvertible {
    /// As many requests as may wait are waiting.
    case busy(limit: Int)
    /// The engine cannot run it.
    case refused(RequestRefusal)
    /// What it allows leaves no token.
    case noToken(String)
    /// The device gave no valid token, or failed with the request in its batch; another attempt may succeed.
    case device(String)
    /// The model was unloaded, or the daemon stops; another attempt may succeed.
    case unloaded

    /// One line.
    package var description: String {
        switch self {
        case .busy(let limit): "\(limit) requests are waiting already; try again later"
        case .refused(let refusal): refusal.description
        case .noToken(let reason): "the request allows no further token: \(reason)"
        case .device(let reason): reason
        case .unloaded: "the model was unloaded; try again later"
        }
    }
}

/// A client of a loaded model for callers that wait. Its own thread handles the reports of the engines.
package final class OnlineRequests: @unchecked Sendable {
    /// A message to the thread.
    private enum Message: Sendable {
        case submitted(
            RequestID, PreparedRequest, streams: Bool, AsyncStream<OnlineEvent>.Continuation, at: Milliseconds)
        case cancelled(RequestID)
        case engine(EngineReport, of: Replica)
        case end
    }

    /// A request in flight.
    private struct Caller {
        var progress: RequestInProgress
        let streams: Bool
        let events: AsyncStream<OnlineEvent>.Continuation
    }

    private let mailbox = Mailbox<Message>()
    private let tokenizer: Tokenizer
    private let limit: Int
    private let metrics: OnlineMetrics?
    private let clock: TimeSource
    private let replicas: Replicas<Void>
    private let disconnect: () -> [RequestID]
    private let lock = NSLock()
    private var submitted = 0
    private let ended = DispatchSemaphore(value: 0)

    /// Connects a client.
    ///
    /// - Parameter limit: the most requests in flight; further ones are refused.
    package convenience init(model: ModelHost.Loaded, on host: ModelHost, limit: Int) {
        self.init(tokenizer: model.tokenizer, limit: limit, metrics: OnlineMetrics(model: model.name)) {
            host.connect(to: model, sink: $0)
        }
    }

    /// A client of the engines that `connect` connects a sink to.
    init(
        tokenizer: Tokenizer, limit: Int, metrics: OnlineMetrics? = nil, clock: TimeSource = .system,
        connect: (@escaping @Sendable (EngineReport, Replica) -> Void) -> Connection<Void>
    ) {
        self.tokenizer = tokenizer
        self.limit = limit
        self.metrics = metrics
        self.clock = clock
        let connection = connect { [mailbox] in mailbox.send(.engine($0, of: $1)) }
        replicas = connection.replicas
        disconnect = connection.disconnect
        DetachedThread.start("online") { [self] in
            run()
            ended.signal()
        }
    }

    /// Runs a request. If the caller ends the iteration before the last event, the request is cancelled.
    ///
    /// - Parameter streams: whether texts are told as they grow.
    /// - Throws: `OnlineFailure.busy`.
    package func submit(
        _ request: PreparedRequest, streams: Bool = false
    ) throws(OnlineFailure) -> AsyncStream<OnlineEvent> {
        let number = lock.withLock { () -> Int? in
            guard replicas.inFlight.count < limit else { return nil }
            submitted += 1
            return submitted
        }
        guard let number else {
            metrics?.count(.failed(.busy(limit: limit)))
            throw .busy(limit: limit)
        }
        let id = replicas.id(number)
        let replica = replicas.inFlight.add(id, (), sequences: request.sequenceCount)
        let (stream, continuation) = AsyncStream.makeStream(of: OnlineEvent.self)
        continuation.onTermination = { [mailbox] reason in
            if case .cancelled = reason { mailbox.send(.cancelled(id)) }
        }
        // The thread must know the request before the engine's first report on it.
        mailbox.send(.submitted(id, request, streams: streams, continuation, at: clock.now))
        replicas.run(id, request, priority: .online, on: replica)
        return stream
    }

    /// Requests in flight.
    package var count: Int { replicas.inFlight.count }

    /// Disconnects; requests in flight fail as `unloaded`.
    package func close() {
        _ = disconnect()
        mailbox.send(.end)
        ended.wait()
    }

    private func run() {
        var callers: [RequestID: Caller] = [:]
        while true {
            for message in mailbox.receiveWaiting() {
                switch message {
                case .submitted(let id, let request, let streams, let events, let now):
                    callers[id] = Caller(
                        progress: RequestInProgress(
                            request, tokenizer, submitted: now, metrics: metrics?.requests),
                        streams: streams, events: events)
                case .cancelled(let id):
                    guard callers.removeValue(forKey: id) != nil else { continue }
                    metrics?.countCancelled()
                    replicas.cancel(id)
                    replicas.inFlight.remove([id])
                case .engine(let report, _): take(report, &callers)
                case .end:
                    for id in Array(callers.keys) { end(id, .failed(.unloaded), &callers) }
                    return
                }
            }
        }
    }

    private func take(_ report: EngineReport, _ callers: inout [RequestID: Caller]) {
        switch report {
        case .refused(let id, let refusal): end(id, .failed(.refused(refusal)), &callers)
        case .putBack(let ids): for id in ids { end(id.sequence(0), .failed(.unloaded), &callers) }
        case .fault(let fault, let ids):
            for id in ids { end(id.sequence(0), .failed(.device(fault.description)), &callers) }
        case .step(let step):
            for id in step.report.preempted { callers[id.sequence(0)]?.progress.notePreempted(id) }
            for update in step.report.updates { take(update, in: step, &callers) }
        }
    }

    private func take(_ update: RequestUpdate, in step: EngineStep, _ callers: inout [RequestID: Caller]) {
        let id = update.id.sequence(0)
        guard callers[id] != nil else { return }
        let result = callers[id]!.progress.take(update, in: step) { replicas.cancel(sequence: $0) }
        if callers[id]!.streams, let text = callers[id]!.progress.takeStableText(of: update.id.sequence) {
            callers[id]!.events.yield(.text(choice: update.id.sequence, text))
        }
        switch result {
        case .goesOn: break
        case .ended: end(id, .finished(callers[id]!.progress.finish()), &callers)
        case .bad(let bad): stop(id, .failed(.device(bad.reason)), &callers)
        case .noToken(let reason): stop(id, .failed(.noToken(reason)), &callers)
        }
    }

    /// Ends a request of which the engine has other sequences.
    private func stop(_ id: RequestID, _ event: OnlineEvent, _ callers: inout [RequestID: Caller]) {
        replicas.cancel(id)
        end(id, event, &callers)
    }

    private func end(_ id: RequestID, _ event: OnlineEvent, _ callers: inout [RequestID: Caller]) {
        guard let caller = callers.removeValue(forKey: id) else { return }
        // Before the caller has the answer, so that it finds itself counted.
        metrics?.count(event)
        if case .finished(let finished) = event { metrics?.note(finished, caller.progress, at: clock.now) }
        replicas.inFlight.remove([id])
        caller.events.yield(event)
        caller.events.finish()
    }
}
