// What the ends of jobs add to the counters of their batch: the same sums for every store.

/// The jobs of one batch that end in one transaction, in sums.
package struct EndTally: Sendable {
    /// How many ended, by state.
    package private(set) var ended: [JobState: Int64] = [:]
    /// Their tokens.
    package private(set) var usage = TokenUsage()
    /// How many of them have times.
    package private(set) var timedJobs: Int64 = 0
    /// The sums of these times.
    package private(set) var timings = JobTimings(queuedMS: 0, prefillMS: 0, decodeMS: 0, totalMS: 0)

    /// No job.
    package init() {}

    /// How many ended.
    package var count: Int64 { ended.values.reduce(0, +) }

    /// Adds jobs without results.
    package mutating func add(_ state: JobState, jobs: Int64 = 1) { ended[state, default: 0] += jobs }

    /// Adds a job that ran.
    package mutating func add(_ completion: JobCompletion) {
        add(completion.outcome.state)
        usage.promptTokens += completion.usage.promptTokens
        usage.cachedTokens += completion.usage.cachedTokens
        usage.completionTokens += completion.usage.completionTokens
        guard let spent = completion.timings else { return }
        timedJobs += 1
        timings.queuedMS += spent.queuedMS
        timings.prefillMS += spent.prefillMS
        timings.decodeMS += spent.decodeMS
        timings.totalMS += spent.totalMS
    }
}
