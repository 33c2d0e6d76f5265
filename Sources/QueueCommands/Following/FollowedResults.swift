// Writes results while batches run.

package import ArgumentParser
package import ResultExport
package import StoreContract
package import Terminal

/// The results of batches that are being followed. If they cannot be written, the work continues and they stay in the
/// queue.
package struct FollowedResults {
    /// The destination and format of results.
    package struct Options: ParsableArguments {
        @Option(
            name: .shortAndLong, parsing: .unconditional,
            help: ArgumentHelp("Write results to a file instead of stdout.", valueName: "file"))
        package var output: String?

        @Option(parsing: .unconditional, help: "jsonl: OpenAI batch output lines; csv; text: for reading.")
        package var format = ResultFormat.jsonl

        @Option(parsing: .unconditional, help: "In the order of the file, or as they end.")
        package var order = ResultOrder.input

        /// Whether they are JSONL in the order of the file.
        package var areStandard: Bool { format == .jsonl && order == .input }

        package init() {}
    }

    private var printer: ResultPrinter
    private let isTerminal: Bool
    private let batches: [BatchID]
    /// The kind of the error that ended the writing; it was reported then.
    package private(set) var failure: ExitStatus?

    package init(of batches: [BatchID], from store: any JobReading, _ options: Options, to file: OutputFile) {
        printer = ResultPrinter(of: batches, from: store, as: options.format, order: options.order, to: file)
        isTerminal = file.isTerminal
        self.batches = batches
    }

    /// Writes the results that are new since the last call. On a terminal the progress line is cleared for them.
    package mutating func writeNews(_ display: inout ProgressDisplay) throws {
        guard failure == nil else { return }
        let isTerminal = isTerminal
        do {
            try printer.writeNews { if isTerminal { display.clear() } }
        } catch let error as Failure {
            display.clear()
            note(error)
        }
    }

    /// Writes the rest.
    package mutating func finish() throws {
        guard failure == nil else { return }
        do { try printer.finish() } catch let error as Failure { note(error) }
    }

    private mutating func note(_ error: Failure) {
        failure = error.status
        let verbs = batches.map { "`ttbatch results \($0) -o FILE`" }.joined(separator: " and ")
        StandardError.print("ttbatch: \(error); the results stay in the database: \(verbs)")
    }
}
