// `ttbatch list`: the batches, the latest first.

package import ArgumentParser
import ResultExport
import Runtime
import StoreContract
import Terminal

package struct List: ParsableCommand {
    package static let configuration = CommandConfiguration(abstract: "List batches, the latest first.")

    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("At most this many.", valueName: "n"))
    package var limit = 20

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Only batches older than this one, for paging.", valueName: "batch")
    )
    package var before: BatchReference?

    @Flag(help: "Include drafts: files that are being enqueued.")
    package var drafts = false

    @Flag(help: "One OpenAI batch object on each line.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        guard limit >= 1 else { throw ValidationError("--limit \(limit): expected at least 1") }
        let store = try shared.queueForReading()
        let last = try before?.id(in: store)
        let batches = try store.batches(before: last, limit: limit, includingDrafts: drafts)
            .map { try BatchDescription($0, store: store) }
        if json {
            for batch in batches { StandardOutput.print(batch.json()) }
            return
        }
        let status = try store.systemStatus()
        if let paused = status.paused {
            StandardError.print(
                "the queue is paused since \(Quantity.time(milliseconds: paused.rawValue)): see `ttbatch resume`")
        }
        var table = Table(BatchDescription.columns)
        for batch in batches { table.add(batch.row) }
        for line in table.lines { StandardOutput.print(line) }
        if let cluster = status.cluster, before == nil, !cluster.hosts.isEmpty {
            StandardOutput.print("")
            for line in HostWords.table(cluster.hosts) { StandardOutput.print(line) }
        }
        if batches.count == limit, let last = batches.last {
            StandardError.print("(there may be more: --before \(last.batch.id))")
        }
    }
}
