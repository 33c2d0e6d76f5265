// `ttbatch rerun BATCH CUSTOM_ID`: runs a prompt again, and says whether its result is the same.

package import ArgumentParser
import BatchDaemon
import QueueCommands
import Runtime
import Settings
import StoreContract
import Terminal

package struct Rerun: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Run a prompt again and say whether its result is the same.",
        discussion: """
            The prompt is copied into a new batch and runs as any other, here or where a daemon owns the database. If its \
            chat template tells the date, it is that of the first run. Prints what made both results where that differs. \
            Exit code 9: not identical.
            """)

    @OptionGroup var target: BatchArgument

    @Argument(help: "The custom_id of the prompt.")
    var customID: String

    @Flag(help: "Print what made the result, and run nothing.")
    var show = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        // It makes no database.
        let reading = try shared.storeForReading()
        let original = try result(in: try target.id(in: reading), reading)
        if show {
            for line in RerunComparison.record(of: original, try system(of: original, reading)) {
                StandardOutput.print(printable(line))
            }
            return
        }
        let model = try reading.batch(original.batch).model
        if let model, let asked = shared.requestedModel(configuration), asked != model {
            throw ValidationError(
                "--model \(asked): \(original.batch) is of the model \(model), on which it runs again; leave the option out"
            )
        }
        let store = try shared.storeForWriting(configuration)
        try RunCheck(configuration, store).checkModel(named: model ?? configuration.model, configuration)
        let copy = try store.rerun(customID, of: original.batch, at: TimeSource.system.now)
        try follow(copy, store, configuration)
        let comparison = RerunComparison(original, try result(in: copy, store))
        let systems = RerunComparison.differences(
            try system(of: original, store), try system(of: comparison.again, store))
        StandardOutput.print(printable("\(copy), \(customID): \(comparison.verdict)"))
        for line in comparison.differences + systems { StandardOutput.print(printable("  \(line)")) }
        if !comparison.differences.isEmpty { throw ExitStatus.different.exit }
    }

    /// The prompt's result.
    ///
    /// - Throws: `Failure` if it has none.
    private func result(in batch: BatchID, _ store: any JobStore) throws -> JobResult {
        guard let result = try store.result(of: customID, in: batch) else {
            throw Failure(.notFound, "\(batch) has no valid prompt with the custom_id \"\(printable(customID))\"")
        }
        switch result.outcome {
        case .succeeded: return result
        case .failed(let error):
            throw Failure(.batchHadFailures, "\(printable(customID)) of \(batch) has failed: \(error.message)")
        case .unfinished: throw Failure(.batchNotDone, "\(printable(customID)) of \(batch) has not ended")
        case .cancelled, .expired:
            throw Failure(
                .batchCancelledOrExpired, "\(printable(customID)) of \(batch) has no result: \(result.state.rawValue)")
        }
    }

    private func system(of result: JobResult, _ store: any JobStore) throws -> SystemRecord? {
        guard case .succeeded(let generation) = result.outcome, let fingerprint = generation.fingerprint else {
            return nil
        }
        return try store.system(fingerprint)
    }

    private func follow(_ batch: BatchID, _ store: any JobStore, _ configuration: Configuration) throws {
        let stop = StopSignal()
        let signals = StopOnSignals(stop)
        let work = EmbeddedDaemon(store: store, configuration: configuration, batches: [batch], stop: stop)
        let following = Following(
            store: store, batches: [batch], work: work, stop: stop, hasOwnSettings: !shared.settings.isEmpty,
            graceMS: configuration.daemon.graceMS)
        do {
            let isDone = try following.untilDone()
            try work.end()
            guard isDone else {
                StandardError.print("\(batch) has not ended; `ttbatch results \(batch)` prints its result once it has")
                throw (stop.level == .none ? ExitStatus.conflict : .interrupted).exit
            }
        } catch let error where !(error is ExitCode) {
            StandardError.print("in the queue: \(batch)")
            throw error
        }
        signals.restore()
    }
}
