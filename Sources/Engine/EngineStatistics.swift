// The engine's counters and gauges.

/// Counters since the engine was created, and gauges at the time of the snapshot.
public struct EngineStatistics: Sendable, Equatable {
    /// Prefill steps run.
    public internal(set) var prefillSteps = 0
    /// Decode steps run.
    public internal(set) var decodeSteps = 0
    /// Tokens prefilled; a preempted request's tokens count each time they are prefilled.
    public internal(set) var prefilledTokens = 0
    /// Tokens of prefilled rows that were not computed, because they were cached.
    public internal(set) var cachedTokens = 0
    /// The part of `prefilledTokens` that had been prefilled or generated before a preemption.
    public internal(set) var recomputedTokens = 0
    /// Total number of rows of all decode steps.
    public internal(set) var decodedRows = 0
    /// Outputs that steps gave to requests: tokens, stop tokens included, and outputs that are no token.
    public internal(set) var generatedTokens = 0
    /// Number of preemptions.
    public internal(set) var preemptions = 0

    /// Requests that wait for a slot or for blocks.
    public internal(set) var waiting = 0
    /// Requests in the batch.
    public internal(set) var running = 0
    /// Rows of the device batch.
    public internal(set) var slots: Int
    /// KV blocks of all groups that requests use; free cached blocks do not count.
    public internal(set) var kvBlocksUsed = 0
    /// KV blocks of all groups.
    public internal(set) var kvBlocksTotal: Int

    /// Fraction of the batch slots that had a row, over all decode steps: 0…1; 0 before the first step.
    public var occupancy: Double { decodeSteps == 0 ? 0 : Double(decodedRows) / Double(decodeSteps * slots) }

    /// The statistics of a new engine.
    init(slots: Int, kvBlocksTotal: Int) {
        self.slots = slots
        self.kvBlocksTotal = kvBlocksTotal
    }

    /// The counters since `earlier`, and the state as it is now.
    public func since(_ earlier: EngineStatistics) -> EngineStatistics {
        var statistics = self
        statistics.prefillSteps -= earlier.prefillSteps
        statistics.decodeSteps -= earlier.decodeSteps
        statistics.prefilledTokens -= earlier.prefilledTokens
        statistics.cachedTokens -= earlier.cachedTokens
        statistics.recomputedTokens -= earlier.recomputedTokens
        statistics.decodedRows -= earlier.decodedRows
        statistics.generatedTokens -= earlier.generatedTokens
        statistics.preemptions -= earlier.preemptions
        return statistics
    }
}
