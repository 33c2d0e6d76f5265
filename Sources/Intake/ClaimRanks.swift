// The order in which a batch's jobs are claimed: prompts that begin alike one after the other, the others line by line.

import OpenAIFormats
import PromptFiles

/// Gives each prompt of a file its rank; see `NewJob.claimRank`.
///
/// Prompts are put to the first one that begins with the same block of text, and among those to the first one with the same
/// long beginning. Only so many beginnings are remembered, the latest, so memory does not grow with the file: alike prompts
/// that stand very far apart may get different ranks, and then run apart.
struct ClaimRanks {
    private var shortPrefixes: FirstLines
    private var longPrefixes: FirstLines

    /// Remembers at least `capacity` beginnings of each kind, and at most twice as many.
    init(capacity: Int = 1 << 15) {
        shortPrefixes = FirstLines(capacity: capacity)
        longPrefixes = FirstLines(capacity: capacity)
    }

    /// The rank of the prompt in `line`; to be asked in the order of the file.
    mutating func rank(of prompt: RequestBody.Prompt, line: Int) -> Int64 {
        guard let prefix = PromptPrefix(prompt) else { return Self.rank(line, line) }
        return Self.rank(shortPrefixes.first(prefix.short, line: line), longPrefixes.first(prefix.long, line: line))
    }

    /// Ordered by `short`, then by `long`. Lines too large for that are of equal rank, so they keep their order.
    private static func rank(_ short: Int, _ long: Int) -> Int64 {
        let most = Int(Int32.max)
        return Int64(min(short, most)) << 31 | Int64(min(long, most))
    }
}

/// The line in which each of the latest keys came first.
private struct FirstLines {
    let capacity: Int
    private var latest: [Int: Int] = [:]
    /// What was in `latest` before it was full.
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
