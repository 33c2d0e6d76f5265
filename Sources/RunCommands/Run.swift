// `ttbatch run FILE…`: enqueues, runs and exports in one process.

package import ArgumentParser
import BatchDaemon
import PartialRuns
import QueueCommands
import Runtime
import Settings
import StoreContract
import Terminal

package struct Run: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Enqueue prompt files, run them, and write the results.",
        discussion: """
            Results go to stdout or to -o, progress to stderr. On stdout each result comes as soon as those before it have \
            come, or with --order completion as soon as its prompt has ended. Where a daemon already owns the database, it \
            does the work and this follows it. The batch stays in the database: after an interruption, \
            `ttbatch daemon --drain` goes on with it.

            With --shard or --resume there is no queue, and an interruption ends with exit code 75: the same command goes on \
            where it was, here or on another machine that has the files.
            """)

    @OptionGroup var input: EnqueueOptions

    @OptionGroup var results: FollowedResults.Options

    @OptionGroup var part: PartialRunOptions

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        if part.areGiven { try validatePart() }
    }

    package func run() throws {
        if part.areGiven { return try runPart() }
        let configuration = try shared.configuration()
        let store = try shared.storeForWriting(configuration)
        // Checked before the work, so that no night ends with a path that cannot be written or a missing device.
        let file = try outputFile()
        let check = try RunCheck(configuration, store)
        let stored = try input.enqueue(into: store, configuration, shared, check: check.model)
        let batches = stored.map(\.batch)
        let stop = StopSignal()
        let signals = StopOnSignals(stop)
        let work = EmbeddedDaemon(store: store, configuration: configuration, batches: batches, stop: stop)
        let following = Following(
            store: store, batches: batches, work: work, stop: stop, hasOwnSettings: !shared.settings.isEmpty,
            graceMS: configuration.daemon.graceMS)
        let names = batches.map(\.description).joined(separator: ", ")
        var writing = FollowedResults(of: batches, from: store, results, to: file)
        do {
            let isDone = try following.untilDone { display in try writing.writeNews(&display) }
            try work.end()
            guard isDone else {
                let going = try whatGoesOn(batches, store, isInterrupted: stop.level != .none)
                StandardError.print(going.words)
                throw going.status.exit
            }
        } catch let error where !(error is ExitCode) {
            let isWithdrawn = work.hasEnded && (try? check.withdraw(stored)) == true
            StandardError.print(
                isWithdrawn
                    ? "not begun and cancelled: \(names)"
                    : "in the queue: \(names); `ttbatch daemon --drain` goes on with what has not ended")
            throw error
        }
        signals.restore()
        try writing.finish()
        try BatchesReport(batches, store).end(after: writing.failure)
    }

    /// A message on what is done, where it is, and how to continue: after an interruption, or if a pause left nothing
    /// for the daemon here to run.
    private func whatGoesOn(
        _ batches: [BatchID], _ store: any JobStore, isInterrupted: Bool
    ) throws -> (words: String, status: ExitStatus) {
        let open = try batches.map { try store.batch($0) }.filter { !$0.status.isTerminal }
        var lines = open.map { batch in
            "\(batch.id): \(batch.counts.finished) of \(batch.counts.total) prompts have ended; "
                + "`ttbatch results \(batch.id) --partial` prints them"
        }
        let paused = open.filter { $0.paused != nil }.map { "`ttbatch resume \($0.id)`" }
        let resuming = try store.systemStatus().paused != nil ? ["`ttbatch resume`"] + paused : paused
        if !resuming.isEmpty { lines.append("paused: \(resuming.joined(separator: " and ")) lets it go on") }
        if isInterrupted { lines.insert("interrupted", at: 0) }
        switch try store.daemonPresence() {
        case .absent where resuming.isEmpty || isInterrupted:
            lines.append("`ttbatch daemon --drain` goes on with the rest")
        case .absent: break
        case .running, .unknown: lines.append("the daemon goes on")
        }
        return (lines.joined(separator: "\n"), isInterrupted ? .interrupted : .conflict)
    }

    /// The file for the results. It must not be one of the prompt files.
    private func outputFile() throws -> OutputFile {
        try checkOutput()
        return try OutputFile(path: results.output)
    }

    func checkOutput() throws {
        if let output = results.output, let clash = input.files.first(where: { OutputFile.isSame($0, output) }) {
            throw ValidationError("-o \(output) would replace the prompt file \(clash); choose another name")
        }
    }
}
