// Chooses a row's next token from its logits. The host sampler and the host device share it, so both choose the same.

/// Sampling in vLLM's order: temperature, min-p, top-k, top-p, then one draw; typical-p, which vLLM does not have, after
/// top-p as in transformers.
///
/// The result depends on the logits, the parameters and the position alone. Among equal logits the lower token id comes
/// first; the draw goes through the kept tokens in the order of their ids. A NaN counts as −∞.
///
/// It works on summaries of tiles of the vocabulary and reads the logits of few tiles, so that a device need not keep a
/// row's logits. All sums are in a fixed order and the exponential function is implemented here, so the result does not
/// depend on the processor.
public enum TokenSampler {
    /// The token for `position` of its sequence, from a row's logits, which are changed by the draw's edits.
    ///
    /// - Parameters:
    ///   - logits: `[vocabulary]`, not empty; −∞ excludes a token.
    ///   - position: position of the token to choose, counted from 0 at the prompt's first token.
    ///   - scratch: working memory; its contents have no meaning between calls.
    /// - Returns: the token, or `nil` if every token is excluded.
    public static func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, _ draw: TokenDraw, position: Int, scratch: SamplerScratch
    ) -> SampledToken? {
        let (base, vocabulary) = (logits.baseAddress!, logits.count)
        if let mask = draw.edits.constraint { base.keep(mask, vocabulary: vocabulary) }
        guard let request = draw.logprobs else {
            base.apply(draw.edits, vocabulary: vocabulary)
            let token = sample(UnsafeBufferPointer(logits), draw.params, position: position, scratch: scratch)
            return logits[Int(token)] > -.infinity ? SampledToken(token) : nil
        }
        // Logprobs are taken before the other edits, so a copy keeps the logits.
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: vocabulary) { raw in
            raw.baseAddress!.update(from: base, count: vocabulary)
            base.apply(draw.edits, vocabulary: vocabulary)
            let token = sample(UnsafeBufferPointer(logits), draw.params, position: position, scratch: scratch)
            guard logits[Int(token)] > -.infinity else { return nil }
            return SampledToken(
                token, logprobs: logprobs(UnsafeBufferPointer(raw), of: token, request, scratch: scratch))
        }
    }

    /// The logprobs of a row's logits, of which `token` is the row's own.
    public static func logprobs(
        _ logits: UnsafeBufferPointer<Float>, of token: Int32, _ request: LogprobsRequest, scratch: SamplerScratch
    ) -> TokenLogprobs {
        scratch.reserve(vocabulary: logits.count)
        let top = min(request.top, logits.count)
        return withUnsafeTemporaryAllocation(of: TokenLogprob.self, capacity: request.count) { values in
            request.tokens.withUnsafeBufferPointer { requested in
                writeLogprobs(
                    of: token, tiles: summaries(logits, logprobScale, scratch), vocabulary: logits.count, top: top,
                    requested: requested, scratch: scratch, to: values.baseAddress!
                ) { logits.baseAddress! + $0 * LogitTile.width }
            }
            let own = logits[Int(token)]
            let rank = request.wantsRank ? Int32(logits.count { $0 >= own }) : nil
            return TokenLogprobs(
                UnsafeBufferPointer(rebasing: values[..<(request.count - request.top + top)]),
                requested: request.tokens.count, rank: rank)
        }
    }

    /// The token for `position` of its sequence, from a row's logits as they are; any token if all are excluded.
    public static func sample(
        _ logits: UnsafeBufferPointer<Float>, _ params: TTSamplingParams, position: Int,
        scratch: SamplerScratch = SamplerScratch()
    ) -> Int32 {
        precondition(!logits.isEmpty, "a row has at least one logit")
        scratch.reserve(vocabulary: logits.count)
        let tiles = summaries(logits, weightScale(params, vocabulary: logits.count), scratch)
        return TiledRow(tiles: tiles, vocabulary: logits.count).choose(params, position, scratch) { tile in
            logits.baseAddress! + tile * LogitTile.width
        }
    }

    private static func summaries(
        _ logits: UnsafeBufferPointer<Float>, _ weightScale: Float, _ scratch: SamplerScratch
    ) -> UnsafeBufferPointer<LogitTile> {
        LogitTile.summarise(logits, weightScale: weightScale, into: scratch.tiles)
        return UnsafeBufferPointer(start: scratch.tiles, count: LogitTile.count(vocabulary: logits.count))
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
        if params.isGreedy || !params.drawsFromTiles(of: vocabulary) { return 0 }
        return TokenWeight.scale(temperature: params.temperature)
    }
}

extension TTSamplingParams {
    /// Whether top-k keeps all of `vocabulary` tokens.
    func keepsAllTokens(of vocabulary: Int) -> Bool { topK <= 0 || Int(topK) >= vocabulary }

    /// Whether the weights of whole tiles are needed to draw.
    func drawsFromTiles(of vocabulary: Int) -> Bool { keepsAllTokens(of: vocabulary) && minP <= 0 && typicalP >= 1 }
}
