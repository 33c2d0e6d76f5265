// `ttbatch show BATCH`: one batch with counts, rates and what the device did meanwhile.

import ArgumentParser
import JobStore

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one batch: counts, rates, ETA, metrics.")

    @OptionGroup var target: BatchArgument

    @Flag(help: "OpenAI's batch object.")
    var json = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let id = try target.id()
        let store = try shared.storeForReading()
        let batch = try BatchDescription(try store.batch(id), store: store)
        if json {
            StandardOutput.print(batch.json)
            return
        }
        for line in batch.lines { StandardOutput.print(line) }
        let metrics = try store.metricsSummary(.batch(id))
        guard metrics.intervals > 0 else { return }
        StandardOutput.print("")
        for line in MetricsDescription.lines(metrics) { StandardOutput.print(line) }
    }
}
