// `ttbatch show BATCH`: prints a batch with its counts and rates, and what the device did meanwhile.

package import ArgumentParser
import ResultExport
import StoreContract
import Terminal

package struct Show: ParsableCommand {
    package static let configuration = CommandConfiguration(abstract: "Show one batch: counts, rates, ETA, metrics.")

    @OptionGroup var target: BatchArgument

    @Flag(help: "OpenAI's batch object.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.queueForReading()
        let id = try target.id(in: store)
        let batch = try BatchDescription(try store.batch(id), store: store)
        let failures = batch.batch.counts.failed > 0 ? try store.failures(of: id) : []
        if json {
            StandardOutput.print(batch.json(failures: failures))
            return
        }
        for line in batch.lines { StandardOutput.print(line) }
        if !failures.isEmpty {
            StandardOutput.print("")
            var table = Table([
                ("FAILED", .right), ("ATTEMPTS", .right), ("ERROR", .left), ("FIRST LINE", .right), ("MESSAGE", .left),
            ])
            for group in failures {
                table.add(["\(group.jobs)", "\(group.attempts)", group.code, "\(group.line)", group.message])
            }
            for line in table.lines { StandardOutput.print(line) }
        }
        let metrics = try store.metricsSummary(.batch(id))
        guard metrics.intervals > 0 else { return }
        StandardOutput.print("")
        for line in MetricsDescription.lines(metrics) { StandardOutput.print(line) }
    }
}
