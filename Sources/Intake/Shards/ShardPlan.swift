// Cuts the prompts of a file into parts of equal work. The cuts are where the prefixes of prompts change, so that those with
// one template stay with one machine, which prefills it once.

import OpenAIFormats
public import PromptFiles

/// What the lines of a file weigh, and which belong together.
public struct ShardPlan {
    private struct Entry {
        let rank: Int64
        let line: Int
        let tokens: Int
    }

    private var ranks = ClaimRanks()
    private var entries: [Entry] = []

    /// An empty plan.
    public init() {}

    /// Adds a line. Lines come in the order of the file, and all of them.
    public mutating func add(_ line: PromptFileLine) {
        switch line {
        case .valid(let line):
            let rank = ranks.rank(of: line.request.prompts[0], line: line.lineNumber)
            entries.append(Entry(rank: rank, line: line.lineNumber, tokens: line.estimatedTokens))
        case .invalid(let line):
            entries.append(Entry(rank: ClaimRanks.ownRank(line.lineNumber), line: line.lineNumber, tokens: 0))
        }
    }

    /// The lines of a part.
    public func lines(of shard: Shard) -> LineSet {
        let order = entries.sorted { ($0.rank, $0.line) < ($1.rank, $1.line) }
        // The tokens before each line, and those of all.
        var tokens = [0]
        tokens.reserveCapacity(order.count + 1)
        for entry in order { tokens.append(tokens.last! + entry.tokens) }

        func cut(before index: Int) -> Int {
            if index == 0 { return 0 }
            if index == shard.count { return order.count }
            let wanted = tokens.last! / shard.count * index
            let place = tokens.partitioningIndex { $0 >= wanted }
            func changes(_ place: Int) -> Bool {
                place == 0 || place >= order.count || order[place].rank != order[place - 1].rank
            }
            var (before, after) = (place, place)
            while !changes(before) { before -= 1 }
            while !changes(after) { after += 1 }
            // A quarter of a part at most: cuts stay in their order, and no machine has much more to do than another.
            let most = tokens.last! / shard.count / 4
            let near = [before, after].filter { abs(tokens[$0] - wanted) <= most }
            return near.min { abs(tokens[$0] - wanted) < abs(tokens[$1] - wanted) } ?? place
        }

        var lines = LineSet()
        for entry in order[cut(before: shard.index)..<max(cut(before: shard.index), cut(before: shard.index + 1))] {
            lines.insert(entry.line)
        }
        return lines
    }
}

extension PromptLine {
    /// About how many tokens it takes to run it: a prompt of four bytes a token, and all that it may generate.
    fileprivate var estimatedTokens: Int {
        let generated = min(request.maxTokens ?? 256, 1 << 20) * max(request.choices, request.bestOf ?? 1)
        return max(1, body.count / 4 + generated * request.prompts.count)
    }
}

extension Array {
    /// The first index whose element, and all behind it, fulfil `belongs`.
    fileprivate func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
