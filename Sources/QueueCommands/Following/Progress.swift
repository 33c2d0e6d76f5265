// The progress of batches in words that fit on a terminal's line.

import Foundation
import Glibc
package import ResultExport
import StoreContract
import Terminal

/// The progress of several batches together.
package struct Progress {
    private let done: Int64
    package let total: Int64
    private let failed: Int64
    private let cancelled: Int64
    private let expired: Int64
    /// Jobs in batch slots.
    private let running: Int64
    /// Jobs that have not ended and are in no batch slot.
    private let waiting: Int64
    private let tokens: Int64
    /// An estimate for the whole run: the device gets slower as texts grow.
    private let tokensPerSecond: Double?
    private let etaMS: Int64?

    package var isOver: Bool { done == total }

    package init(_ batches: [BatchDescription]) {
        done = batches.reduce(0) { $0 + $1.batch.counts.finished }
        total = batches.reduce(0) { $0 + $1.batch.counts.total }
        failed = batches.reduce(0) { $0 + $1.batch.counts.failed }
        cancelled = batches.reduce(0) { $0 + $1.batch.counts.cancelled }
        expired = batches.reduce(0) { $0 + $1.batch.counts.expired }
        running = batches.reduce(0) { $0 + $1.running }
        waiting = batches.reduce(0) { $0 + $1.waiting }
        tokens = batches.reduce(0) { $0 + $1.generatedTokens }
        let left = batches.filter { !$0.batch.status.isTerminal }.map { ($0.etaMS, $0.batch.expectation?.tokens ?? 0) }
        // Batches that run at the same time share the device, so their remaining times add up.
        etaMS = left.contains { $0.0 == nil } ? nil : left.reduce(0) { $0 + $1.0! }
        let rates = batches.compactMap(\.tokensPerSecond)
        let lately = rates.isEmpty ? nil : rates.reduce(0, +)
        if let etaMS, let elapsed = batches.compactMap(\.elapsedMS).max(), elapsed + etaMS > 0 {
            tokensPerSecond = (Double(tokens) + left.reduce(0) { $0 + $1.1 }) * 1000 / Double(elapsed + etaMS)
        } else {
            tokensPerSecond = lately
        }
    }

    /// `12/60 done, 16 running, 32 waiting, 4138 tokens, 62.1 tokens/s, ETA 3m 20s`; parts for which there is no space
    /// are left out.
    ///
    /// - Parameter columns: the maximum length; nil: no limit.
    package func words(columns: Int? = nil) -> String {
        var parts: [(words: String, importance: Int)] = [("\(done)/\(total) done", 6)]
        if failed > 0 { parts.append(("\(failed) failed", 5)) }
        if cancelled > 0 { parts.append(("\(cancelled) cancelled", 5)) }
        if expired > 0 { parts.append(("\(expired) expired", 5)) }
        if !isOver {
            parts.append(("\(running) running", 2))
            parts.append(("\(waiting) waiting", 1))
        }
        if tokens > 0 { parts.append(("\(tokens) tokens", 0)) }
        if let tokensPerSecond, tokens > 0 { parts.append(("\(Quantity.rate(tokensPerSecond)) tokens/s", 3)) }
        if let etaMS, !isOver { parts.append(("ETA \(Quantity.duration(milliseconds: etaMS))", 4)) }
        while true {
            let line = parts.map(\.words).joined(separator: ", ")
            guard let columns, line.count > columns, parts.count > 1 else { return line }
            let least = parts.indices.min { parts[$0].importance < parts[$1].importance }!
            parts.remove(at: least)
        }
    }

    /// The words after a bar, if there is space for one.
    package func line(columns: Int) -> String {
        // The last column stays empty: some terminals wrap the line there.
        let room = max(1, columns - 1)
        let words = words(columns: room)
        let width = min(30, room - words.count - 3)
        guard width >= 8 else { return String(words.prefix(room)) }
        let filled = total > 0 ? Int(done) * width / Int(total) : 0
        return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled) + "] "
            + words
    }
}

/// Shows progress on stderr: one changing line on a terminal, else a line at intervals.
package struct ProgressDisplay {
    private let isTerminal =
        StandardError.isTerminal && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    private var lastLine = Date()
    private var lastWords = ""
    /// Whether the line on the terminal has not been ended.
    private var isDrawn = false

    package mutating func show(_ progress: Progress) {
        if isTerminal {
            let line = progress.line(columns: StandardError.columns)
            if !isDrawn || line != lastWords { StandardError.write("\r\(line)\u{1B}[K") }
            (isDrawn, lastWords) = (true, line)
            return
        }
        let words = progress.words()
        guard words != lastWords, progress.isOver || Date().timeIntervalSince(lastLine) >= 5 else { return }
        StandardError.print(words)
        (lastLine, lastWords) = (Date(), words)
    }

    /// Clears the line for other output on the terminal.
    package mutating func clear() {
        if isDrawn { StandardError.write("\r\u{1B}[K") }
        isDrawn = false
    }

    /// Ends the line, and keeps its text.
    package mutating func end() {
        if isDrawn { StandardError.write("\n") }
        isDrawn = false
    }
}
