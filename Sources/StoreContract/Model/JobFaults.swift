// The faults of a job so far, and whether it is retried: the same rule for every store.

/// The number of attempts at a job that went wrong, by cause.
public struct JobFaults: Hashable, Sendable {
    /// Attempts during which the daemon or its device failed.
    public var crashes: Int
    /// Attempts in which the device returned values that are no tokens.
    public var badOutputs: Int

    /// Makes a count of faults.
    public init(crashes: Int = 0, badOutputs: Int = 0) {
        self.crashes = crashes
        self.badOutputs = badOutputs
    }

    /// What is done with a job that was released.
    public enum Verdict: Hashable, Sendable {
        /// It is pending again, and is not claimed for `delayMS`.
        case again(delayMS: Int64)
        /// It fails.
        case fail(JobError)
    }

    /// Counts one more fault, and returns what is done with the job.
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
