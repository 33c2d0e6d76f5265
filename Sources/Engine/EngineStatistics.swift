// The engine's counters and gauges.

/// Counters since the engine was made, and the state at the moment of the snapshot.
public struct EngineStatistics: Sendable, Equatable {
    /// Prefill steps run.
    public internal(set) var prefillSteps = 0
    /// Decode steps run.
    public internal(set) var decodeSteps = 0
    /// Tokens prefilled, those of preempted requests each time.
    public internal(set) var prefilledTokens = 0
    /// Tokens of prefilled rows that were not computed again, because others with the same beginning had left them in
    /// the cache.
    public internal(set) var cachedTokens = 0
    /// Of `prefilledTokens`, those that had been prefilled or generated before a preemption.
    public internal(set) var recomputedTokens = 0
    /// Rows of all decode steps together.
    public internal(set) var decodedRows = 0
    /// Outputs that steps gave to requests: tokens, stop tokens included, and outputs that are no token.
    public internal(set) var generatedTokens = 0
    /// Times that a request lost its blocks.
    public internal(set) var preemptions = 0

    /// Requests that wait for a slot or for blocks.
    public internal(set) var waiting = 0
    /// Requests in the batch.
    public internal(set) var running = 0
    /// Rows of the device batch.
    public internal(set) var slots: Int
    /// KV blocks that requests own; those that are only kept for requests to come do not count.
    public internal(set) var kvBlocksUsed = 0
    /// KV blocks in the pool.
    public internal(set) var kvBlocksTotal: Int

    /// Share of the batch's slots that did useful work, over all decode steps: 0…1, and 0 before the first.
    public var occupancy: Double { decodeSteps == 0 ? 0 : Double(decodedRows) / Double(decodeSteps * slots) }

    /// Nothing done yet.
    init(slots: Int, kvBlocksTotal: Int) {
        self.slots = slots
        self.kvBlocksTotal = kvBlocksTotal
    }
}
