// `ttbatch results BATCH`: what a batch has given so far, also while it runs.

public import ArgumentParser
import BatchDaemon
public import JobStore
public import PromptFiles

extension ResultFormat: ExpressibleByArgument {}
extension ResultOrder: ExpressibleByArgument {}

/// Which finished jobs `--state` selects.
enum StateFilter: String, CaseIterable, ExpressibleByArgument {
    case all, succeeded, failed, cancelled, expired

    var states: Set<JobState> {
        switch self {
        case .all: JobState.terminal
        case .succeeded: [.succeeded]
        case .failed: [.failed]
        case .cancelled: [.cancelled]
        case .expired: [.expired]
        }
    }
}

struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the results of a batch, as far as it has come.")

    @OptionGroup var target: BatchArgument

    @Option(help: "jsonl: OpenAI batch output lines; csv; text: for reading.")
    var format = ResultFormat.jsonl

    @Option(help: "Only jobs that ended so.")
    var state = StateFilter.all

    @Option(help: "In the order of the file, or as they ended.")
    var order = ResultOrder.input

    @Option(name: .shortAndLong, help: ArgumentHelp("Write to a file instead of stdout.", valueName: "file"))
    var output: String?

    @OptionGroup var shared: SharedOptions

    func run() throws {
        try ResultsPrinter(format: format, states: state.states, order: order)
            .write(try target.id(), from: try shared.storeForReading(), to: output)
    }
}

/// Writes results page by page.
struct ResultsPrinter {
    var format = ResultFormat.jsonl
    var states = JobState.terminal
    var order = ResultOrder.input

    /// Writes the results of several batches, one after the other.
    func write(_ batches: BatchID..., from store: any JobStore, to path: String?) throws {
        try write(batches, from: store, to: path)
    }

    func write(_ batches: [BatchID], from store: any JobStore, to path: String?) throws {
        // Asked first, so that no file is made for a batch that is not there.
        let summaries = try batches.map { try store.batch($0) }
        let file = try OutputFile(path: path)
        try file.append { format.encodeHeader(into: &$0) }
        for batch in summaries {
            var cursor = store.resultsCursor(ResultQuery(batch: batch.id, order: order, states: states))
            while true {
                let page = try cursor.nextPage()
                if page.isEmpty { break }
                for result in page {
                    guard let line = OutputLine(result, batch: batch) else { continue }
                    try file.append { line.encode(as: format, into: &$0) }
                }
            }
        }
        try file.finish()
    }
}
