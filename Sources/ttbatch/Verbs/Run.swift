// `ttbatch run FILE…`: enqueue, run until done, export: the whole system in one process.

import ArgumentParser
import BatchDaemon
import JobStore
import PromptFiles
import TTPlatform

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
        // Known before the work, so that no night ends with a path that cannot be written or a device that is not there.
        let file = try outputFile()
        _ = try Platforms.all.choose(configuration.engine)
        let batches = try input.enqueue(into: store, configuration, shared).map(\.batch)
        let stop = StopSignal()
        let signals = StopOnSignals(stop)
        let work = EmbeddedDaemon(store: store, configuration: configuration, batches: batches, stop: stop)
        let following = Following(
            store: store, batches: batches, work: work, stop: stop, hasOwnSettings: !shared.settings.isEmpty)
        let names = batches.map(\.description).joined(separator: ", ")
        let stays = "\(names) stays in the queue: go on with `ttbatch daemon --drain`"
        do {
            guard try following.untilDone() else {
                try work.end()
                if stop.level == .none {
                    // The daemon here had nothing that it might run.
                    throw Failure(.conflict, "\(names) or the queue is paused: `ttbatch resume` lets it go on")
                }
                StandardError.print("interrupted; \(stays)")
                throw ExitStatus.interrupted.exit
            }
            try work.end()
        } catch let error where !(error is ExitCode) {
            StandardError.print(stays)
            throw error
        }
        signals.restore()
        try ResultsPrinter(format: format).write(batches, from: store, to: file)
        try report(batches, store)
    }

    /// The file for the results; never one of the prompt files.
    private func outputFile() throws -> OutputFile {
        if let output, let clash = input.files.first(where: { OutputFile.isSame($0, output) }) {
            throw ValidationError("-o \(output) would replace the prompt file \(clash); choose another name")
        }
        return try OutputFile(path: output)
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
