// Samples a row from the summaries of its tiles: finds the tiles that can hold the token, then the token.

/// A row of logits, known by the summaries of its tiles.
struct TiledRow {
    /// Reads the logits of a tile.
    typealias Look = (_ tile: Int) -> UnsafePointer<Float>

    let tiles: UnsafeBufferPointer<LogitTile>
    let vocabulary: Int

    /// The token for `position`.
    func choose(_ params: TTSamplingParams, _ position: Int, _ scratch: SamplerScratch, _ look: Look) -> Int32 {
        let best = bestTile()
        let highest = tiles[best].highest
        // If the highest logit is infinite there are no weights: +∞ is certain, −∞ means that all tokens are excluded.
        guard !params.isGreedy, highest.isFinite else { return firstHighest(in: best, look(best)) }
        let weight = TokenWeight(highest: highest, scale: TokenWeight.scale(temperature: params.temperature))
        let kept = keep(params, weight, scratch, look)
        return draw(SampleStream.uniform(seed: params.seed, position: position), kept, weight, scratch, look)
    }

    /// The first tile with the highest logit.
    private func bestTile() -> Int {
        var (best, highest) = (0, -Float.infinity)
        for tile in tiles.indices where tiles[tile].highest > highest {
            (best, highest) = (tile, tiles[tile].highest)
        }
        return best
    }

    /// The first token with the tile's highest logit.
    private func firstHighest(in tile: Int, _ logits: UnsafePointer<Float>) -> Int32 {
        var (best, highest) = (0, -Float.infinity)
        for index in 0..<width(tile) where logits[index] > highest {
            (best, highest) = (index, logits[index])
        }
        return Int32(tile * LogitTile.width + best)
    }

    func width(_ tile: Int) -> Int { min(LogitTile.width, vocabulary - tile * LogitTile.width) }
}

/// The tokens that may be drawn.
private struct KeptTokens {
    /// The last of them in the order of logits.
    var last = TokenRank.last
    /// They have at least this weight.
    var floor = Float.leastNonzeroMagnitude
    /// Set if only the typical ones of these may be drawn.
    var typical: TypicalTokens?

    /// Whether `token` is one of them.
    func contains(_ token: Int, logit: Float, weight: Float) -> Bool {
        guard weight >= floor, TokenRank(logit: logit, token: token) <= last else { return false }
        return typical.map { $0.rank(token: token, weight: weight) <= $0.last } ?? true
    }
}

extension TiledRow {
    /// Applies min-p, top-k, top-p and typical-p; leaves the weight of each tile's kept tokens in `scratch.weights`.
    private func keep(
        _ params: TTSamplingParams, _ weight: TokenWeight, _ scratch: SamplerScratch, _ look: Look
    ) -> KeptTokens {
        let share = Double(max(params.topP, 0))
        var selection: TokenSelection
        if params.drawsFromTiles(of: vocabulary) {
            let total = weighTiles(weight, scratch)
            guard params.topP < 1 else { return KeptTokens() }
            // Tokens below (1 − p)/V of the total weight have less than 1 − p of it together, so none of them is in the
            // nucleus. The floor is half of that because sums are rounded.
            selection = TokenSelection(
                scratch.candidates, reaching: share * total, of: .weight,
                floor: Float(0.5 * (1 - share) * total / Double(vocabulary)))
            select(&selection, weight, scratch, look)
        } else {
            let goal = params.keepsAllTokens(of: vocabulary) ? .infinity : Double(params.topK)
            selection = TokenSelection(scratch.candidates, reaching: goal, of: .tokens, floor: params.minP)
            select(&selection, weight, scratch, look)
            if params.topP < 1 { selection.narrow(toShare: share) }
        }
        var kept = KeptTokens(
            last: selection.kept.reduce(selection.kept[0].rank) { max($0, $1.rank) }, floor: selection.floor)
        if params.typicalP < 1 { kept.typical = selection.narrow(toTypicalShare: Double(params.typicalP)) }
        scratch.weights.update(repeating: 0, count: tiles.count)
        for candidate in selection.kept {
            scratch.weights[candidate.rank.token / LogitTile.width] += Double(candidate.weight)
        }
        return kept
    }

    /// Computes every tile's weight relative to the row's highest logit, from the summaries alone; returns their sum.
    private func weighTiles(_ weight: TokenWeight, _ scratch: SamplerScratch) -> Double {
        let weights = scratch.weights
        for tile in tiles.indices {
            weights[tile] = Double(tiles[tile].weight) * Double(weight(tiles[tile].highest))
        }
        return tiles.indices.reduce(0) { $0 + weights[$1] }
    }

    /// Reads tiles in the order of their best tokens, until no further tile can hold a kept token.
    private func select(
        _ selection: inout TokenSelection, _ weight: TokenWeight, _ scratch: SamplerScratch, _ look: Look
    ) {
        var count = 0
        for tile in tiles.indices where !weight.vanishes(tiles[tile].highest) {
            // No token of the tile precedes this rank.
            scratch.ranks[count] = TokenRank(logit: tiles[tile].highest, token: tile * LogitTile.width)
            count += 1
        }
        var heap = RankHeap(scratch.ranks, count: count)
        while let next = heap.first, next < selection.bound {
            heap.removeFirst()
            let tile = next.token / LogitTile.width
            guard weight(tiles[tile].highest) >= selection.floor else { break }
            let logits = look(tile)
            weight.fill(scratch.tokenWeights, logits, count: width(tile))
            selection.insert(from: next.token, count: width(tile), logits, scratch.tokenWeights)
        }
        selection.cut()
    }

    /// Draws from the kept tokens: first the tile, then the token in it.
    private func draw(
        _ uniform: Float, _ kept: KeptTokens, _ weight: TokenWeight, _ scratch: SamplerScratch, _ look: Look
    ) -> Int32 {
        var total = 0.0
        for tile in tiles.indices { total += scratch.weights[tile] }
        precondition(total > 0, "where all tokens may be drawn, the tiles have weights")
        // The target is below the total, and the loop repeats the additions of the total, so a tile takes the sum above
        // it.
        let target = Double(uniform) * total
        var (tile, sum) = (0, 0.0)
        while sum + scratch.weights[tile] <= target {
            sum += scratch.weights[tile]
            tile += 1
        }
        let logits = look(tile)
        weight.fill(scratch.tokenWeights, logits, count: width(tile))
        var chosen = 0
        for index in 0..<width(tile) {
            let token = tile * LogitTile.width + index
            let weight = scratch.tokenWeights[index]
            guard kept.contains(token, logit: logits[index], weight: weight) else { continue }
            chosen = token
            sum += Double(weight)
            // The tile's weight may have been rounded up; then the last token is taken.
            if sum > target { break }
        }
        return Int32(chosen)
    }
}
