// `ttbatch results BATCH`: prints the results of a batch so far, even while it runs.

public import ArgumentParser
public import ResultExport
public import StoreContract
import Terminal

extension OutputFile: ResultSink {}

extension ResultFormat: ExpressibleByArgument {}
extension ResultOrder: ExpressibleByArgument {}

/// Which finished jobs `--state` selects.
package enum StateFilter: String, CaseIterable, ExpressibleByArgument {
    case all, succeeded, failed, cancelled, expired

    package var states: Set<JobState> {
        switch self {
        case .all: JobState.terminal
        case .succeeded: [.succeeded]
        case .failed: [.failed]
        case .cancelled: [.cancelled]
        case .expired: [.expired]
        }
    }
}

package struct Results: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Print the results of a batch.",
        discussion: """
            A batch that has not ended has no results yet: exit code 7, and nothing is written. --wait waits for its end, \
            --partial takes what there is. A file that -o names is there as a whole or not at all.
            """)

    @OptionGroup var target: BatchArgument

    @Option(parsing: .unconditional, help: "jsonl: OpenAI batch output lines; csv; text: for reading.")
    package var format = ResultFormat.jsonl

    @Option(parsing: .unconditional, help: "Only jobs that ended so.")
    package var state = StateFilter.all

    @Option(parsing: .unconditional, help: "In the order of the file, or as they ended.")
    package var order = ResultOrder.input

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Write to a file instead of stdout.", valueName: "file"))
    package var output: String?

    @Flag(help: "Wait until the batch has ended.")
    package var wait = false

    @Flag(help: "Of a batch that has not ended, print what has.")
    package var partial = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        if wait, partial { throw ValidationError("--wait and --partial exclude each other; give one") }
    }

    package func run() throws {
        let store = try shared.queueForReading(isPatient: wait)
        // This is checked first, so that no file is created for a batch that does not exist.
        let id = try target.id(in: store)
        if wait { try Following.wait(for: [id], store) }
        let summary = try store.batch(id)
        guard !summary.isDraft else { throw JobStoreError.batchIsDraft(id) }
        if !summary.status.isTerminal {
            let words = "\(id) is not done: \(summary.counts.finished) of \(summary.counts.total) jobs have ended"
            guard partial else {
                throw Failure(.batchNotDone, "\(words); --wait waits for the others, --partial prints what there is")
            }
            StandardError.print(words)
        }
        var results = ResultPrinter(
            of: [id], from: store, as: format, states: state.states, order: order, hasGaps: true,
            to: try OutputFile(path: output))
        try results.finish()
    }
}
