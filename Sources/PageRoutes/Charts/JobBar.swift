// How far a batch is, as an SVG bar: what succeeded, what failed, what was given up, what runs.

import StoreContract

/// The jobs of a batch by how they ended, in thousandths of the bar.
struct JobBar: Sendable, Hashable {
    struct Part: Sendable, Hashable {
        let kind: String
        let x: String
        let width: String
    }

    let parts: [Part]
    /// `712 of 1,000 done, 3 failed`.
    let words: String

    init(_ counts: JobCounts, running: Int64) {
        let total = Double(max(counts.total, 1))
        var x = 0.0
        var parts: [Part] = []
        for (kind, number) in [
            ("ok", counts.succeeded), ("bad", counts.failed), ("gone", counts.cancelled + counts.expired),
            ("run", running),
        ] where number > 0 {
            // A single failure among a million is seen.
            let width = min(max(Double(number) / total * 1000, 6), 1000 - x)
            parts.append(Part(kind: kind, x: "\(Int(x))", width: "\(Int(width.rounded(.up)))"))
            x += width
        }
        self.parts = parts
        var words = "\(PageWords.count(counts.finished)) of \(PageWords.count(counts.total)) done"
        if counts.failed > 0 { words += ", \(PageWords.count(counts.failed)) failed" }
        if counts.cancelled > 0 { words += ", \(PageWords.count(counts.cancelled)) cancelled" }
        if counts.expired > 0 { words += ", \(PageWords.count(counts.expired)) expired" }
        self.words = words
    }
}
