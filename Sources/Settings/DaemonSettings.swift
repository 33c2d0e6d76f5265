// The daemon's own settings: how often it looks, commits and measures.

/// The keys under `daemon:` in the configuration.
public struct DaemonSettings: Sendable, Equatable {
    /// Milliseconds between looks at the job table.
    public var pollIntervalMS: Int64 = 200
    /// Finished jobs are committed together, at most this many milliseconds after the first of them ended.
    public var commitIntervalMS: Int64 = 250
    /// Milliseconds of one row of metrics.
    public var metricsIntervalMS: Int64 = 10_000
    /// Milliseconds that running jobs have to end after the daemon was told to stop.
    public var graceMS: Int64 = 30_000
    /// Crashes of the daemon or device that a job may be present at before it is failed as their likely cause.
    public var maxCrashes = 3
    /// Times in a row that the device may fail without a job finished in between, before the daemon ends.
    public var maxDeviceFailures = 5
    /// Times that the device may give a job something that is no token before the job is failed.
    public var maxBadOutputs = 3
    /// Times in a row that a batch's model may be unusable before the batch's jobs are failed.
    public var maxModelErrors = 5
    /// Milliseconds before a job, a batch or the device is tried again after its first failure; twice as many after each
    /// further one.
    public var backoffMS: Int64 = 1000
    /// Milliseconds between two such tries at most.
    public var maxBackoffMS: Int64 = 60_000
    /// Milliseconds that a loaded model is kept while batches of equal rank wait for another one.
    public var modelTurnMS: Int64 = 600_000
    /// Jobs that are committed together at most.
    public var commitGroupSize = 256
    /// Milliseconds between tries while the store is out of order for the moment; not a key.
    package var storeRetryMS: Int64 = 1000

    /// The defaults.
    public init() {}
}
