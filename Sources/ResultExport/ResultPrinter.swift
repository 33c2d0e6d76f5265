// Writes results, once or repeatedly while batches run.

import OpenAIFormats
package import StoreContract

/// The destination of results.
package protocol ResultSink: AnyObject {
    /// Whether the reader has gone.
    var isAbandoned: Bool { get }
    /// Appends the bytes that `encode` writes.
    ///
    /// - Parameter isText: whether they are meant for reading.
    func append(isText: Bool, _ encode: (inout [UInt8]) -> Void) throws
    /// Writes out the bytes that were appended.
    func flush() throws
    /// Ends the output.
    func finish() throws
}

/// Writes the results of batches.
///
/// In input order, a job that has not ended holds back the jobs after it, unless `hasGaps` is set.
package struct ResultPrinter {
    private let batches: [BatchID]
    private let store: any JobReading
    private let format: ResultFormat
    private let states: Set<JobState>
    private let order: ResultOrder
    private let hasGaps: Bool
    private let sink: any ResultSink
    /// The position up to which each batch was read.
    private var positions: [BatchID: Int64] = [:]
    private var hasHeader = false

    /// - Parameters:
    ///   - states: the states of the jobs to write.
    ///   - hasGaps: whether jobs that have not ended are skipped.
    package init(
        of batches: [BatchID], from store: any JobReading, as format: ResultFormat,
        states: Set<JobState> = JobState.terminal,
        order: ResultOrder, hasGaps: Bool = false, to sink: any ResultSink
    ) {
        self.batches = batches
        self.store = store
        self.format = format
        self.states = states
        self.order = order
        self.hasGaps = hasGaps
        self.sink = sink
    }

    /// Writes the results that are new since the last call.
    ///
    /// - Parameter willWrite: called before the first byte, if there is something to write.
    package mutating func writeNews(willWrite: () -> Void = {}) throws {
        var isFirst = true
        for id in batches {
            let batch = try store.batch(id)
            let isWhole = try writeNews(of: batch) {
                if isFirst { willWrite() }
                isFirst = false
            }
            guard isWhole || order == .completion else { break }
        }
        try sink.flush()
    }

    /// Writes the rest and ends the output; a file then gets its name.
    package mutating func finish() throws {
        try writeNews()
        try writeHeader()
        try sink.finish()
    }

    /// Returns whether the batch can have no more results.
    private mutating func writeNews(of batch: BatchSummary, willWrite: () -> Void) throws -> Bool {
        let isWhole = batch.status.isTerminal
        // Unfinished jobs must be read, too, in order to stop at them.
        let stopsAtGaps = order == .input && !hasGaps && !isWhole
        let query = ResultQuery(
            batch: batch.id, order: order, states: stopsAtGaps ? Set(JobState.allCases) : states)
        let position = positions[batch.id] ?? 0
        // This is called often while a long job holds back the others. One row shows that there is nothing new.
        if stopsAtGaps, try store.results(query, after: position, limit: 1).first?.state.isTerminal != true {
            return false
        }
        var cursor = store.resultsCursor(query, after: position, pageSize: stopsAtGaps ? 100 : 500)
        while !sink.isAbandoned {
            let page = try cursor.nextPage()
            for result in page {
                guard result.state.isTerminal else { return false }
                positions[batch.id] = order == .input ? result.line : result.finishSequence
                guard states.contains(result.state), let line = OutputLine(result, batch: batch) else { continue }
                willWrite()
                try writeHeader()
                try sink.append(isText: format != .jsonl) { line.encode(as: format, into: &$0) }
            }
            if page.isEmpty { break }
        }
        return isWhole
    }

    private mutating func writeHeader() throws {
        if !hasHeader { try sink.append(isText: false) { format.encodeHeader(into: &$0) } }
        hasHeader = true
    }
}
