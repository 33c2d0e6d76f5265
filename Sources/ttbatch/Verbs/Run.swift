// `ttbatch run FILE…`: enqueue, run until done, export: the whole system in one process.

import ArgumentParser
import BatchDaemon
import Foundation
import JobStore
import Logging
import PromptFiles

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Enqueue prompt files, run them, and write the results.",
        discussion: """
            Results go to stdout or to -o, progress to stderr. Where a daemon already owns the database, it does the work \
            and this follows it. The batch stays in the database: after an interruption, `ttbatch daemon --drain` goes on \
            with it.
            """)

    @OptionGroup var input: EnqueueOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("Write results to a file instead of stdout.", valueName: "file"))
    var output: String?

    @Option(help: "jsonl: OpenAI batch output lines; csv; text: for reading.")
    var format = ResultFormat.jsonl

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let configuration = try shared.configuration()
        let store = try shared.storeForWriting(configuration)
        let batches = try input.enqueue(into: store, configuration, shared).map(\.batch)
        let stop = StopSignal()
        let signals = StopOnSignals(stop)
        let work = try EmbeddedDaemon(store: store, configuration: configuration, batches: batches, stop: stop)
        let finished = try Following(store: store, batches: batches, work: work, stop: stop).untilDone()
        try work.end()
        signals.restore()
        guard finished else {
            let names = batches.map(\.description).joined(separator: ", ")
            StandardError.print("interrupted; \(names) stays in the queue: go on with `ttbatch daemon --drain`")
            throw ExitStatus.interrupted.exit
        }
        try ResultsPrinter(format: format).write(batches, from: store, to: output)
        try report(batches, store)
    }

    /// A line for each batch, and the exit code that tells how they ended.
    private func report(_ batches: [BatchID], _ store: SQLiteJobStore) throws {
        var status: ExitStatus?
        for id in batches {
            let batch = try BatchDescription(try store.batch(id), store: store)
            let counts = batch.batch.counts
            var line = "\(id): \(counts.succeeded) succeeded, \(counts.failed) failed"
            if counts.cancelled > 0 { line += ", \(counts.cancelled) cancelled" }
            if counts.expired > 0 { line += ", \(counts.expired) expired" }
            line +=
                "; \(batch.batch.usage.promptTokens) prompt and \(batch.batch.usage.completionTokens) generated tokens"
            if let elapsed = batch.elapsedMS { line += " in \(Quantity.duration(milliseconds: elapsed))" }
            if let rate = batch.tokensPerSecond { line += ", \(Quantity.rate(rate)) tokens/s" }
            StandardError.print(line)
            if counts.cancelled + counts.expired > 0 {
                status = .batchCancelledOrExpired
            } else if counts.failed > 0, status == nil {
                status = .batchHadFailures
            }
        }
        if let status { throw status.exit }
    }
}

/// The daemon inside `run`, unless another process's daemon already owns the database.
final class EmbeddedDaemon: @unchecked Sendable {
    private let stop: StopSignal
    private let ended = NSCondition()
    private var result: Result<Void, any Error>?

    init(store: SQLiteJobStore, configuration: Configuration, batches: [BatchID], stop: StopSignal) throws {
        self.stop = stop
        guard let lease = try Self.lease(of: store) else {
            result = .success(())
            return
        }
        let daemon = BatchDaemon(
            store: store, configuration: configuration, scope: .batches(Set(batches)), drains: true, stop: stop,
            log: DaemonLog.make(level: .warning))
        let thread = Thread { [self] in
            let outcome = Result { try daemon.run(lease) }
            lease.release()
            ended.withLock {
                result = outcome
                ended.broadcast()
            }
        }
        thread.name = "daemon"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// The right to work; nil where a daemon has it.
    private static func lease(of store: SQLiteJobStore) throws(JobStoreError) -> (any DaemonLease)? {
        do throws(JobStoreError) {
            return try store.acquireLease()
        } catch {
            guard case .daemonRunning(_, let pid) = error else { throw error }
            let process = pid.map { " (process \($0))" } ?? ""
            StandardError.print("the daemon\(process) owns the database and does the work")
            return nil
        }
    }

    /// Whether the work has failed, so that there is nothing to wait for.
    var hasFailed: Bool {
        ended.withLock { if case .failure = result { true } else { false } }
    }

    /// Waits for the daemon's end, and throws what it threw.
    func end() throws {
        try ended.withLock {
            while result == nil { ended.wait() }
            try result!.get()
        }
    }
}
