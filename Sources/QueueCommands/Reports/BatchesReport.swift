// The ends of batches: one line for each, and one exit code for all.

import ResultExport
package import StoreContract
package import Terminal

/// Reports how batches ended.
package struct BatchesReport {
    private let lines: [String]
    private let status: ExitStatus?

    package init(_ batches: [BatchID], _ store: any JobReading) throws {
        let descriptions = try batches.map { try BatchDescription(try store.batch($0), store: store) }
        lines = descriptions.map(\.endWords)
        let counts = descriptions.map(\.batch.counts)
        if counts.contains(where: { $0.cancelled + $0.expired > 0 }) {
            status = .batchCancelledOrExpired
        } else {
            status = counts.contains { $0.failed > 0 } ? .batchHadFailures : nil
        }
    }

    /// Prints the lines, and ends the program with an error code unless all jobs succeeded.
    ///
    /// - Parameter failure: another error, which takes precedence.
    package func end(after failure: ExitStatus? = nil) throws {
        for line in lines { StandardError.print(line) }
        if let status = failure ?? status { throw status.exit }
    }
}

extension BatchDescription {
    /// `batch_1: 3 succeeded, 0 failed; 80 prompt and 64 generated tokens in 567 ms, 113 tokens/s`.
    fileprivate var endWords: String {
        let counts = batch.counts
        var line = "\(batch.id): \(counts.succeeded) succeeded, \(counts.failed) failed"
        if counts.cancelled > 0 { line += ", \(counts.cancelled) cancelled" }
        if counts.expired > 0 { line += ", \(counts.expired) expired" }
        line += "; \(batch.usage.promptTokens) prompt and \(batch.usage.completionTokens) generated tokens"
        if let elapsedMS { line += " in \(Quantity.duration(milliseconds: elapsedMS))" }
        if let tokensPerSecond { line += ", \(Quantity.rate(tokensPerSecond)) tokens/s" }
        return line
    }
}
