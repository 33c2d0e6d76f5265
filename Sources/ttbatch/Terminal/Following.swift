// Watches batches until they are done, and shows how far they are.

import BatchDaemon
import Foundation
import JobStore

/// Follows batches on stderr: a bar that moves on a terminal, else a line now and then.
struct Following {
    let store: SQLiteJobStore
    let batches: [BatchID]
    let work: EmbeddedDaemon
    let stop: StopSignal
    /// Settings were given that hold only for a daemon here.
    let hasOwnSettings: Bool

    /// Returns when every batch has ended (true), or when nobody works on them any more (false): the user stopped it, or
    /// the daemon here ended. A daemon of another process that goes away is replaced by one here.
    func untilDone() throws -> Bool {
        var progress = ProgressDisplay()
        defer { progress.end() }
        var isAnnounced = false
        var isPauseAnnounced = false
        while true {
            // Looked at before the batches, so that the last results are not missed.
            let isOver = work.hasEnded || stop.level != .none
            let summaries = try batches.map { try store.batch($0) }
            try progress.show(Progress(summaries, store: store))
            if summaries.allSatisfy(\.status.isTerminal) { return true }
            if isOver { return false }
            if case .anotherProcess(let pid) = try work.ensureWork(), !isAnnounced {
                let process = pid.map { " (process \($0))" } ?? ""
                StandardError.print("the daemon\(process) owns the database and does the work")
                if hasOwnSettings { StandardError.print("warning: it has settings of its own; --set has no effect") }
                isAnnounced = true
            }
            if !isPauseAnnounced, try isPaused(summaries) {
                StandardError.print("paused: `ttbatch resume` lets it go on")
                isPauseAnnounced = true
            }
            stop.wait(seconds: 0.1)
        }
    }

    private func isPaused(_ batches: [BatchSummary]) throws(JobStoreError) -> Bool {
        if batches.contains(where: { $0.paused != nil && !$0.status.isTerminal }) { return true }
        return try store.systemStatus().paused != nil
    }
}

/// How far some batches are.
struct Progress {
    let done: Int64
    let total: Int64
    let failed: Int64
    let tokensPerSecond: Double?
    let etaMS: Int64?

    init(_ batches: [BatchSummary], store: SQLiteJobStore) throws {
        let descriptions = try batches.map { try BatchDescription($0, store: store) }
        done = batches.reduce(0) { $0 + $1.counts.finished }
        total = batches.reduce(0) { $0 + $1.counts.total }
        failed = batches.reduce(0) { $0 + $1.counts.failed }
        let rates = descriptions.compactMap(\.tokensPerSecond)
        tokensPerSecond = rates.isEmpty ? nil : rates.reduce(0, +)
        etaMS = descriptions.compactMap(\.etaMS).max()
    }

    /// `12/36 done, 131 tokens/s, ETA 12.0 s`.
    var words: String {
        var words = "\(done)/\(total) done"
        if failed > 0 { words += ", \(failed) failed" }
        if let tokensPerSecond { words += ", \(Quantity.rate(tokensPerSecond)) tokens/s" }
        if let etaMS { words += ", ETA \(Quantity.duration(milliseconds: etaMS))" }
        return words
    }
}

/// Draws progress on stderr.
struct ProgressDisplay {
    private let isTerminal =
        StandardError.isTerminal && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    private var lastLine = Date.distantPast
    private var lastWords = ""

    mutating func show(_ progress: Progress) {
        if isTerminal {
            let width = 30
            let filled = progress.total > 0 ? Int(progress.done) * width / Int(progress.total) : 0
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
            StandardError.write("\r[\(bar)] \(progress.words)\u{1B}[K")
            return
        }
        let isOver = progress.done == progress.total
        guard progress.words != lastWords, isOver || Date().timeIntervalSince(lastLine) >= 5 else { return }
        StandardError.print(progress.words)
        (lastLine, lastWords) = (Date(), progress.words)
    }

    mutating func end() {
        if isTerminal { StandardError.write("\n") }
    }
}
