// The daemon's own settings: intervals for polls, commits and metrics, and limits for retries.

package import Platform

/// The keys under `daemon:` in the configuration.
public struct DaemonSettings: Sendable, Equatable {
    /// Milliseconds between polls of the job table.
    public var pollIntervalMS: Int64 = 200
    /// Finished jobs are committed as a group, at most this many milliseconds after the first of them ended.
    public var commitIntervalMS: Int64 = 250
    /// Milliseconds that one row of metrics covers.
    public var metricsIntervalMS: Int64 = 10_000
    /// Milliseconds that running jobs have to end after the daemon was asked to stop.
    public var graceMS: Int64 = 30_000
    /// The number of crashes of the daemon or device with a job in flight, after which the job is failed.
    public var maxCrashes = 3
    /// The number of device failures in a row, without a finished job in between, after which the daemon ends.
    public var maxDeviceFailures = 5
    /// The number of times that the device may return values that are no tokens for a job, before the job is failed.
    public var maxBadOutputs = 3
    /// The number of times in a row that a batch's model may be unusable, before the batch's jobs are failed.
    public var maxModelErrors = 5
    /// Milliseconds before a job, a batch or the device is retried after its first failure. The wait doubles after each
    /// further failure.
    public var backoffMS: Int64 = 1000
    /// The maximum of that wait, in milliseconds.
    public var maxBackoffMS: Int64 = 60_000
    /// Milliseconds that a loaded model is kept while batches of equal rank wait for another model.
    public var modelTurnMS: Int64 = 600_000
    /// Milliseconds without a heartbeat after which a daemon may be declared dead by others, in a queue that has several.
    public var deadAfterMS: Int64 = 15_000
    /// The maximum number of jobs that are committed together.
    public var commitGroupSize = 256
    /// Milliseconds between retries while the store has a temporary fault; not a key.
    package var storeRetryMS: Int64 = 1000

    /// Makes the default settings.
    public init() {}
}

extension DaemonSettings: ConfigurationSection {
    /// The keys of the section, and what their values may be.
    package mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        func integer(_ key: String, atLeast least: Int) throws(ConfigurationError) -> Int? {
            try reader.integer(key, in: least...86_400_000)
        }
        pollIntervalMS = try integer("poll_interval_ms", atLeast: 1).map(Int64.init) ?? pollIntervalMS
        commitIntervalMS = try integer("commit_interval_ms", atLeast: 0).map(Int64.init) ?? commitIntervalMS
        metricsIntervalMS = try integer("metrics_interval_s", atLeast: 1).map { Int64($0) * 1000 } ?? metricsIntervalMS
        graceMS = try integer("grace_s", atLeast: 0).map { Int64($0) * 1000 } ?? graceMS
        maxCrashes = try integer("max_crashes", atLeast: 1) ?? maxCrashes
        maxDeviceFailures = try integer("max_device_failures", atLeast: 1) ?? maxDeviceFailures
        maxBadOutputs = try integer("max_bad_outputs", atLeast: 1) ?? maxBadOutputs
        maxModelErrors = try integer("max_model_errors", atLeast: 1) ?? maxModelErrors
        backoffMS = try integer("backoff_ms", atLeast: 0).map(Int64.init) ?? backoffMS
        maxBackoffMS = try integer("max_backoff_s", atLeast: 0).map { Int64($0) * 1000 } ?? maxBackoffMS
        modelTurnMS = try integer("model_turn_s", atLeast: 0).map { Int64($0) * 1000 } ?? modelTurnMS
        deadAfterMS = try integer("dead_after_s", atLeast: 1).map { Int64($0) * 1000 } ?? deadAfterMS
        commitGroupSize = try integer("commit_group_size", atLeast: 1) ?? commitGroupSize
    }
}
