// `ttbatch run --shard I/N` and `--resume`: no queue, results in files only, for job arrays.

import ArgumentParser
import Glibc
import PartialRuns
import QueueCommands
import Runtime
import Settings
import StoreContract
import Terminal

extension Run {
    /// Refuses options that need a queue, or more than one file.
    func validatePart() throws {
        guard input.files.count == 1, results.output != nil else {
            throw ValidationError("--shard and --resume need one prompt file, and one of results: -o FILE")
        }
        guard results.areStandard else {
            throw ValidationError(
                "--shard and --resume write JSONL in the order of the file; leave --format and --order out")
        }
        let ofQueues: [(String, Bool)] = [
            ("--db", shared.db != nil), ("--name", input.name != nil), ("--if-not-exists", input.ifNotExists),
            ("--priority", input.priority != 0), ("--deadline", input.deadline != nil),
            ("--window", input.window != nil),
        ]
        if let option = ofQueues.first(where: \.1)?.0 {
            throw ValidationError("\(option) is of a queue, and --shard and --resume use none; leave one of them out")
        }
    }

    func runPart() throws {
        try checkOutput()
        let configuration = try shared.configuration()
        let stop = StopSignal()
        // SIGUSR1: Slurm sends it some time before the end, where it is asked to, and that may be at the beginning.
        let signals = StopOnSignals(stop, and: [SIGUSR1])
        defer { signals.restore() }
        let run = try PartialRun(
            of: input.files[0], to: results.output ?? "", part,
            model: configuration.rememberedModel ?? configuration.model, models: input.mapModel)
        if run.hasRest {
            if part.resume { StandardError.print("\(run.words); running the others") }
            try work(on: run, configuration, until: stop)
        }
        let merged = try run.finish()
        StandardError.print("\(results.output ?? ""): \(merged.count) results: \(merged.words)")
        if merged.hasFailures { throw ExitStatus.batchHadFailures.exit }
    }

    /// Runs what has no result yet.
    private func work(on run: PartialRun, _ configuration: Configuration, until stop: StopSignal) throws {
        let queue = try TemporaryQueue()
        defer { queue.remove() }
        let store = try SharedOptions.newStore(at: queue.databasePath)
        let check = try RunCheck(configuration, store)
        let batch = try input.enqueue(
            into: store, configuration, shared, lines: run.rest, check: check.model)[0].batch
        let work = EmbeddedDaemon(store: store, configuration: configuration, batches: [batch], stop: stop)
        let following = Following(
            store: store, batches: [batch], work: work, stop: stop, hasOwnSettings: !shared.settings.isEmpty,
            graceMS: configuration.daemon.graceMS)
        run.follow(batch, in: store)
        let isDone = try following.untilDone { display in try run.writeNews { display.clear() } }
        try work.end()
        try run.writeNews()
        guard isDone else {
            let counts = try store.batch(batch).counts
            StandardError.print(
                "interrupted: \(counts.finished) of \(counts.total) prompts have ended, and are in \(run.journalPath); "
                    + "the same command with --resume goes on")
            throw ExitStatus.temporary.exit
        }
    }
}
