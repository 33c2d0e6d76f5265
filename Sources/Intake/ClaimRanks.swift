// The order of claims in a batch: prompts with a common prefix one after another, the others by line.

import OpenAIFormats
import PromptFiles

/// Gives each prompt of a file its rank; see `NewJob.claimRank`.
///
/// Prompts are grouped with the first one that has the same short prefix, and within that group with the first one that
/// has the same long prefix. Only the latest prefixes are kept, so memory does not grow with the file. Prompts with a
/// common prefix that are very far apart may get different ranks, and then run at different times.
struct ClaimRanks {
    private var shortPrefixes: FirstLines
    private var longPrefixes: FirstLines

    /// Keeps at least `capacity` prefixes of each kind, and at most twice that many.
    init(capacity: Int = 1 << 15) {
        shortPrefixes = FirstLines(capacity: capacity)
        longPrefixes = FirstLines(capacity: capacity)
    }

    /// The rank of the prompt in `line`. Call it in the order of the file.
    mutating func rank(of prompt: RequestBody.Prompt, line: Int) -> Int64 {
        guard let prefix = PromptPrefix(prompt) else { return Self.ownRank(line) }
        return Self.rank(shortPrefixes.first(prefix.short, line: line), longPrefixes.first(prefix.long, line: line))
    }

    /// The rank of a line that has nothing in common with others.
    static func ownRank(_ line: Int) -> Int64 { rank(line, line) }

    /// Ordered by `short`, then by `long`. Line numbers that are too large for that get equal ranks, so those lines
    /// keep their order.
    private static func rank(_ short: Int, _ long: Int) -> Int64 {
        let most = Int(Int32.max)
        return Int64(min(short, most)) << 31 | Int64(min(long, most))
    }
}

/// The first line of each of the latest keys.
private struct FirstLines {
    let capacity: Int
    private var latest: [Int: Int] = [:]
    /// The previous `latest`, which was replaced when it was full.
    private var earlier: [Int: Int] = [:]

    init(capacity: Int) { self.capacity = capacity }

    mutating func first(_ key: Int, line: Int) -> Int {
        if let known = latest[key] { return known }
        let first = earlier[key] ?? line
        if latest.count >= capacity {
            swap(&latest, &earlier)
            latest.removeAll(keepingCapacity: true)
        }
        latest[key] = first
        return first
    }
}
