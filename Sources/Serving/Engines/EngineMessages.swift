// What engine threads are told, and what they tell their clients.

package import Engine
package import Platform
package import Runtime

/// A request for an engine.
package struct ServingRequest: Sendable {
    /// The client's key for it.
    package let id: RequestID
    /// The whole prompt.
    package let promptTokens: [Int32]
    /// How tokens are chosen and when the engine stops.
    package let sampling: SamplingParams

    /// A request with the client's key.
    package init(id: RequestID, promptTokens: [Int32], sampling: SamplingParams) {
        self.id = id
        self.promptTokens = promptTokens
        self.sampling = sampling
    }
}

/// Takes what an engine has to tell one client. It is called on the engine's thread and must not block.
package typealias EngineSink = @Sendable (EngineReport) -> Void

/// Told to an engine thread.
package enum EngineCommand: Sendable {
    /// From now on the client makes requests; it hears of them through the sink.
    case connect(ClientID, EngineSink)
    /// Generate for this request.
    case run(ServingRequest)
    /// The request has ended by its text, or its result is not wanted any more: no more tokens for it.
    case cancel(RequestID)
    /// Give back what the client has in flight, and tell it nothing more.
    case disconnect(ClientID)
    /// Give back what is in flight, and end.
    case end

    /// The request that the engine is to run.
    package var requestToRun: RequestID? {
        if case .run(let request) = self { request.id } else { nil }
    }
}

/// Told by an engine thread to a client, about its own requests, in order.
package enum EngineReport: Sendable {
    /// A request that the engine cannot run.
    case refused(RequestID, RequestRefusal)
    /// A step and what it gave.
    case step(EngineStep)
    /// Requests that were in flight and are the client's again; they are not to blame for anything.
    case putBack([RequestID])
    /// The device failed under these requests; the thread is about to end.
    case fault(DeviceFault, [RequestID])
}

/// One step of the device, with its times.
package struct EngineStep: Sendable {
    /// What the step did.
    package var report: StepReport
    /// When the step began.
    package var started: Milliseconds
    /// When the step ended.
    package var ended: Milliseconds
    /// The engine's counters after the step.
    package var statistics: EngineStatistics

    /// A step with its times.
    package init(report: StepReport, started: Milliseconds, ended: Milliseconds, statistics: EngineStatistics) {
        self.report = report
        self.started = started
        self.ended = ended
        self.statistics = statistics
    }
}
