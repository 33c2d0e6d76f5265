// Finds the logprobs of a row: of given tokens, and of the most probable ones, without sorting the row.

import Glibc

extension TokenSampler {
    /// Writes the logprobs of a row in the order of `TokenLogprobs(_:_:)`.
    ///
    /// - Parameters:
    ///   - token: the token of the row's position.
    ///   - tiles: the summaries of all tiles, with weights of the scale `logprobScale`.
    ///   - vocabulary: number of tokens; all tokens of `request` are below it.
    ///   - request: what to tell; `top` is at most the vocabulary.
    ///   - output: room for `request.count` values.
    ///   - look: returns the logits of a tile, as for sampling.
    public static func writeLogprobs(
        of token: Int32, tiles: UnsafeBufferPointer<LogitTile>, vocabulary: Int, top: Int,
        requested: UnsafeBufferPointer<Int32>, scratch: SamplerScratch, to output: UnsafeMutablePointer<TokenLogprob>,
        look: (_ tile: Int) -> UnsafePointer<Float>
    ) {
        scratch.reserve(vocabulary: vocabulary)
        let row = TiledRow(tiles: tiles, vocabulary: vocabulary)
        let normaliser = LogNormaliser(tiles)
        func value(_ token: Int32) -> TokenLogprob {
            let (tile, index) = Int(token).quotientAndRemainder(dividingBy: LogitTile.width)
            return TokenLogprob(token: token, logprob: normaliser(look(tile)[index]))
        }
        output[0] = value(token)
        for index in 0..<requested.count { output[1 + index] = value(requested[index]) }
        row.writeFirst(top, scratch, to: output + 1 + requested.count, normaliser, look)
    }

    /// The scale for the weights of tiles from which logprobs are taken: that of temperature 1.
    public static let logprobScale = TokenWeight.scale(temperature: 1)
}

/// Turns logits into logprobs.
private struct LogNormaliser {
    private let highest: Float
    /// ln Σ e^(logit − highest) over the row.
    private let logSum: Float

    init(_ tiles: UnsafeBufferPointer<LogitTile>) {
        let highest = tiles.reduce(-Float.infinity) { max($0, $1.highest) }
        let weight = TokenWeight(highest: highest, scale: TokenSampler.logprobScale)
        let sum = tiles.reduce(0.0) { $0 + Double($1.weight) * Double(weight($1.highest)) }
        self.highest = highest
        // If the highest logit is infinite, it is certain.
        logSum = highest.isFinite ? Float(log(sum)) : 0
    }

    func callAsFunction(_ logit: Float) -> Float {
        if logit == highest { return -logSum }
        return logit > -.infinity && highest.isFinite ? (logit - highest) - logSum : -.infinity
    }
}

extension TiledRow {
    /// Writes the `count` most probable tokens, the most probable first.
    fileprivate func writeFirst(
        _ count: Int, _ scratch: SamplerScratch, to output: UnsafeMutablePointer<TokenLogprob>,
        _ normaliser: LogNormaliser, _ look: Look
    ) {
        guard count > 0 else { return }
        for tile in tiles.indices {
            scratch.ranks[tile] = TokenRank(logit: tiles[tile].highest, token: tile * LogitTile.width)
        }
        var heap = RankHeap(scratch.ranks, count: tiles.count)
        // The first tokens so far, in order of rank: few, so they are kept sorted.
        let first = scratch.candidates
        var found = 0
        while let next = heap.first, found < count || next < first[count - 1].rank {
            heap.removeFirst()
            let logits = look(next.token / LogitTile.width)
            for index in 0..<width(next.token / LogitTile.width) {
                let logit = logits[index].isNaN ? -.infinity : logits[index]
                let rank = TokenRank(logit: logit, token: next.token + index)
                guard found < count || rank < first[count - 1].rank else { continue }
                var place = min(found, count - 1)
                while place > 0, rank < first[place - 1].rank {
                    first[place] = first[place - 1]
                    place -= 1
                }
                first[place] = TokenSelection.Candidate(rank: rank, weight: logit)
                found = min(found + 1, count)
            }
        }
        for index in 0..<found {
            let (token, logit) = (Int32(first[index].rank.token), first[index].weight)
            output[index] = TokenLogprob(token: token, logprob: normaliser(logit))
        }
    }
}
