// Working memory of sampling, so that sampling a row allocates nothing.

/// Working memory of `TokenSampler`, for one row at a time; grows to the largest vocabulary that it is used for.
public final class SamplerScratch {
    /// The number of tiles that it has room for.
    private var capacity = 0
    /// Summaries of a row that is sampled from its logits.
    private(set) var tiles = UnsafeMutablePointer<LogitTile>.allocate(capacity: 0)
    /// Weight of each tile's kept tokens, relative to the row's highest logit.
    private(set) var weights = UnsafeMutablePointer<Double>.allocate(capacity: 0)
    /// Token weights of the tile whose logits were read last.
    let tokenWeights = UnsafeMutablePointer<Float>.allocate(capacity: LogitTile.width)
    /// The heap of tiles, by the ranks of their best tokens.
    private(set) var ranks = UnsafeMutablePointer<TokenRank>.allocate(capacity: 0)
    /// Tokens that may be kept.
    private(set) var candidates = UnsafeMutablePointer<TokenSelection.Candidate>.allocate(capacity: 0)

    /// Working memory with room for the tiles of `vocabulary` tokens; it grows for larger vocabularies.
    public init(vocabulary: Int = 0) {
        if vocabulary > 0 { reserve(vocabulary: vocabulary) }
    }

    deinit {
        deallocate()
        tokenWeights.deallocate()
    }

    /// Makes room for the tiles of `vocabulary` tokens.
    func reserve(vocabulary: Int) {
        let count = LogitTile.count(vocabulary: vocabulary)
        guard count > capacity else { return }
        deallocate()
        capacity = count
        tiles = .allocate(capacity: count)
        weights = .allocate(capacity: count)
        ranks = .allocate(capacity: count)
        candidates = .allocate(capacity: count * LogitTile.width)
    }

    private func deallocate() {
        tiles.deallocate()
        weights.deallocate()
        ranks.deallocate()
        candidates.deallocate()
    }
}
