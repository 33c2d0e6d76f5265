// What went wrong with a job so far, and whether it is tried again: the same rule for every store.

/// How often attempts at a job have gone wrong, by cause.
public struct JobFaults: Hashable, Sendable {
    /// Attempts that took the daemon or its device with them.
    public var crashes: Int
    /// Attempts to which the device answered nothing that could be a token.
    public var badOutputs: Int

    /// Counts faults.
    public init(crashes: Int = 0, badOutputs: Int = 0) {
        self.crashes = crashes
        self.badOutputs = badOutputs
    }

    /// What becomes of a job that goes back unfinished.
    public enum Verdict: Hashable, Sendable {
        /// It waits again, for `delayMS` at least.
        case again(delayMS: Int64)
        /// It has failed.
        case fail(JobError)
    }

    /// Counts one more fault, and tells what becomes of the job.
    public mutating func add(_ reason: ReleaseReason) -> Verdict {
        switch reason {
        case .stopping:
            return .again(delayMS: 0)
        case .crash(let most, let backoff, let fault):
            crashes += 1
            guard crashes >= most else { return .again(delayMS: backoff.delayMS(after: crashes)) }
            return .fail(
                JobError(
                    code: JobError.crashedDaemonRepeatedly,
                    message: "the daemon or its device crashed \(crashes) times while this job was in flight"
                        + (fault.map { ", the last time: \($0)" } ?? "")
                        + "; it is not tried again by itself, but can be retried",
                    status: 500))
        case .badOutput(let most, let backoff, let fault):
            badOutputs += 1
            guard badOutputs >= most else { return .again(delayMS: backoff.delayMS(after: badOutputs)) }
            return .fail(
                JobError(
                    code: JobError.badOutput,
                    message: "the device gave \(badOutputs) times something that is no token, the last time: \(fault); "
                        + "the job is not tried again by itself, but can be retried",
                    status: 500))
        }
    }
}
