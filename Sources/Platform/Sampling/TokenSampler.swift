// Chooses a row's next token from its logits. The host sampler and the host device share it, so both choose the same.

/// Sampling in vLLM's order: temperature, then top-k, then top-p, then one draw (arXiv 1904.09751 for top-p).
///
/// The result depends on the logits, the parameters and the position alone. Among equal logits the lower token id comes
/// first; the draw goes through the kept tokens in the order of their ids. A NaN counts as −∞.
///
/// It works on summaries of tiles of the vocabulary and reads the logits of few tiles, so that a device need not keep a
/// row's logits. All sums are in a fixed order and the exponential function is implemented here, so the result does not
/// depend on the processor.
public enum TokenSampler {
    /// The token for `position` of its sequence.
    ///
    /// - Parameters:
    ///   - logits: `[vocabulary]`, not empty; −∞ excludes a token.
    ///   - params: temperature, top-k, top-p, and the seed of the row's `SampleStream`.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    ///   - scratch: working memory; its contents have no meaning between calls.
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

    /// The token for `position` of its sequence, from the summaries of its logits' tiles: the same token as from the
    /// logits themselves.
    ///
    /// - Parameters:
    ///   - tiles: the summaries of all tiles, with weights computed with the row's `weightScale`.
    ///   - vocabulary: number of tokens, at least 1.
    ///   - params: temperature, top-k, top-p, and the seed of the row's `SampleStream`.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    ///   - scratch: working memory; its contents have no meaning between calls.
    ///   - look: returns the logits of a tile, bit for bit those of its summary; they must be valid until its next
    ///     call.
    ///     Logits beyond the vocabulary are not read.
    /// - Returns: the token, or `nil` if a logit is NaN.
    public static func sample(
        tiles: UnsafeBufferPointer<LogitTile>, vocabulary: Int, _ params: TTSamplingParams, position: Int,
        scratch: SamplerScratch, look: (_ tile: Int) -> UnsafePointer<Float>
    ) -> Int32? {
        precondition(vocabulary > 0 && tiles.count == LogitTile.count(vocabulary: vocabulary), "all tiles of a row")
        guard tiles.allSatisfy({ !$0.highest.isNaN }) else { return nil }
        scratch.reserve(vocabulary: vocabulary)
        return TiledRow(tiles: tiles, vocabulary: vocabulary).choose(params, position, scratch, look)
    }

    /// The scale for the weights of a row's tiles: log₂e / temperature, or 0 if the row needs no weights.
    public static func weightScale(_ params: TTSamplingParams, vocabulary: Int) -> Float {
        if params.isGreedy || !params.keepsAllTokens(of: vocabulary) { return 0 }
        return TokenWeight.scale(temperature: params.temperature)
    }
}

extension TTSamplingParams {
    /// Whether top-k keeps all of `vocabulary` tokens.
    func keepsAllTokens(of vocabulary: Int) -> Bool { topK <= 0 || Int(topK) >= vocabulary }
}
