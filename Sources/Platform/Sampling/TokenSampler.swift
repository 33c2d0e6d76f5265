// Chooses a row's next token from its logits; host sampler and host device share it, so the place cannot change the token.

/// Sampling in vLLM's order: temperature, then top-k, then top-p, then one draw (arXiv 1904.09751 for top-p).
///
/// Everything is decided by the logits, the parameters and the position alone. Among equal logits the lower token id
/// comes first; the draw goes through the kept tokens in the order of their ids. A NaN counts as −∞.
///
/// It works on summaries of tiles of the vocabulary and looks at the logits of few tiles, so that a device need not keep a
/// row's logits. All sums are in a fixed order and the exponential function is its own: a token's bits do not depend on the
/// processor.
public enum TokenSampler {
    /// The token that will stand at `position` of its sequence.
    ///
    /// - Parameters:
    ///   - logits: `[vocabulary]`, not empty; −∞ excludes a token.
    ///   - params: temperature, top-k, top-p, and the seed of the row's `SampleStream`.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    ///   - scratch: working memory; what is kept of a call to the next is only the memory itself.
    public static func sample(
        _ logits: UnsafeBufferPointer<Float>, _ params: TTSamplingParams, position: Int,
        scratch: SamplerScratch = SamplerScratch()
    ) -> Int32 {
        precondition(!logits.isEmpty, "a row has at least one logit")
        scratch.reserve(vocabulary: logits.count)
        LogitTile.summarise(
            logits, weightScale: weightScale(params, vocabulary: logits.count), into: scratch.tiles)
        let tiles = UnsafeBufferPointer(start: scratch.tiles, count: LogitTile.count(vocabulary: logits.count))
        return TiledRow(tiles: tiles, vocabulary: logits.count).choose(params, position, scratch) { tile in
            logits.baseAddress! + tile * LogitTile.width
        }
    }

    /// The token that will stand at `position` of its sequence, from the summaries of its logits' tiles: the same as from
    /// the logits themselves.
    ///
    /// - Parameters:
    ///   - tiles: the summaries of all tiles, with weights computed with the row's `weightScale`.
    ///   - vocabulary: number of tokens, at least 1.
    ///   - params: temperature, top-k, top-p, and the seed of the row's `SampleStream`.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    ///   - scratch: working memory; what is kept of a call to the next is only the memory itself.
    ///   - look: the logits of a tile, bit for bit those of its summary; valid until it is called again. What lies beyond
    ///     the vocabulary is not read.
    /// - Returns: the token, or `nil` where a logit is NaN.
    public static func sample(
        tiles: UnsafeBufferPointer<LogitTile>, vocabulary: Int, _ params: TTSamplingParams, position: Int,
        scratch: SamplerScratch, look: (_ tile: Int) -> UnsafePointer<Float>
    ) -> Int32? {
        precondition(vocabulary > 0 && tiles.count == LogitTile.count(vocabulary: vocabulary), "all tiles of a row")
        guard tiles.allSatisfy({ !$0.highest.isNaN }) else { return nil }
        scratch.reserve(vocabulary: vocabulary)
        return TiledRow(tiles: tiles, vocabulary: vocabulary).choose(params, position, scratch, look)
    }

    /// What a row's tiles are weighed with: log₂e / temperature, or 0 where the row can do without weights.
    public static func weightScale(_ params: TTSamplingParams, vocabulary: Int) -> Float {
        if params.isGreedy || !params.keepsAllTokens(of: vocabulary) { return 0 }
        return TokenWeight.scale(temperature: params.temperature)
    }
}

extension TTSamplingParams {
    /// Whether top-k leaves out none of `vocabulary` tokens.
    func keepsAllTokens(of vocabulary: Int) -> Bool { topK <= 0 || Int(topK) >= vocabulary }
}
