// What the engine thread is told, and what it tells.

import JobStore
import TTEngine
import TTPlatform
import TTWorker

/// Told to the engine thread.
enum EngineCommand: Sendable {
    /// Generate for this job.
    case run(PreparedJob)
    /// The job has ended by its text, or nobody wants its result: no more tokens for it.
    case stop(ClaimTicket)
    /// Give back what is in flight, and end.
    case putBackAll

    /// The job that the engine is to run.
    var jobToRun: ClaimTicket? {
        if case .run(let job) = self { job.ticket } else { nil }
    }
}

/// Told by the engine thread, in order.
enum EngineReport: Sendable {
    /// A job that the engine cannot run.
    case refused(ClaimTicket, RequestRefusal)
    /// A step and what it gave to whom.
    case step(TimedStep)
    /// Jobs that were in flight when the thread ended, and are not to blame for it.
    case putBack([ClaimTicket])
    /// The device failed under these jobs; the thread is about to end.
    case fault(DeviceFault, [ClaimTicket])
}

/// One step of the device, with its times and the jobs for the engine's requests.
struct TimedStep: Sendable {
    /// What a step gave to a job.
    enum JobEvent: Sendable {
        /// The job is being prefilled, and so many of its first tokens were in the KV cache already.
        case cached(Int)
        case token(Int32)
        /// The token that ended the job; not part of its text.
        case stopToken(Int32)
        case finished(FinishReason)
        /// The job has lost its batch slot; it waits for another and goes on by itself.
        case preempted
        /// The device gave it something that is no token; it is no longer with the engine.
        case badOutput(BadOutput)
    }

    /// Whether prompts were prefilled or rows decoded.
    var kind: StepReport.Kind
    /// When the step began.
    var started: Milliseconds
    /// When the step ended.
    var ended: Milliseconds
    /// In the order in which they happened.
    var events: [(ticket: ClaimTicket, event: JobEvent)]
    /// The engine's counters after the step.
    var statistics: EngineStatistics
}
