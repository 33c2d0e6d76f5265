// The commands to engine threads, and their reports to clients.

package import Engine
package import Platform
package import Prompts
package import Runtime

/// Receives an engine's reports to one client. It is called on the engine's thread and must not block.
package typealias EngineSink = @Sendable (EngineReport) -> Void

/// A command to an engine thread.
package enum EngineCommand: Sendable {
    /// Connects a client, which receives the reports on its requests through the sink.
    case connect(ClientID, EngineSink)
    /// Run this request, whose first sequence has this key.
    case run(RequestID, PreparedRequest, RequestPriority = .batch)
    /// End the sequence: it has ended by its text, or its result is no longer needed.
    case cancel(RequestID)
    /// Return the client's requests in flight, and send it no more reports.
    case disconnect(ClientID)
    /// Return all requests in flight, and end.
    case end

    /// The request of a `run` command.
    package var requestToRun: RequestID? {
        if case .run(let id, _, _) = self { id } else { nil }
    }
}

/// A report by an engine thread to a client on the client's requests; reports arrive in order.
package enum EngineReport: Sendable {
    /// A request that the engine cannot run; none of its sequences is in flight.
    case refused(RequestID, RequestRefusal)
    /// A step and its results.
    case step(EngineStep)
    /// Sequences that were in flight and are returned to the client; they have caused no fault.
    case putBack([RequestID])
    /// The device failed with these sequences in the batch; the thread is about to end.
    case fault(DeviceFault, [RequestID])
}

/// One step of the device, with its times.
package struct EngineStep: Sendable {
    /// The results of the step.
    package var report: StepReport
    /// When the step began.
    package var started: Milliseconds
    /// When the step ended.
    package var ended: Milliseconds
    /// The engine's counters after the step, from when the client connected.
    package var statistics: EngineStatistics

    /// A step with its times.
    package init(report: StepReport, started: Milliseconds, ended: Milliseconds, statistics: EngineStatistics) {
        self.report = report
        self.started = started
        self.ended = ended
        self.statistics = statistics
    }
}
