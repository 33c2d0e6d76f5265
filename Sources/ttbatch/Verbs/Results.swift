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
        let store = try shared.storeForReading()
        // Asked first, so that no file is made for a batch that is not there.
        let id = try store.batch(try target.id()).id
        let summary = try store.batch(id)
        if !summary.status.isTerminal {
            StandardError.print(
                "\(id) is not done: \(summary.counts.finished) of \(summary.counts.total) jobs have ended")
        }
        try ResultsPrinter(format: format, states: state.states, order: order)
            .write([id], from: store, to: try OutputFile(path: output))
    }
}

/// Writes results page by page.
struct ResultsPrinter {
    var format = ResultFormat.jsonl
    var states = JobState.terminal
    var order = ResultOrder.input

    /// Writes the results of several batches, one after the other.
    func write(_ batches: [BatchID], from store: any JobStore, to file: OutputFile) throws {
        try file.append { format.encodeHeader(into: &$0) }
        for id in batches {
            let batch = try store.batch(id)
            var cursor = store.resultsCursor(ResultQuery(batch: batch.id, order: order, states: states))
            while !file.isAbandoned {
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
