// Results on their way out, as far as they have come: once, or again and again while batches run.

package import OpenAIFormats
package import StoreContract

/// Where results go.
package protocol ResultSink: AnyObject {
    /// Nobody reads any more.
    var isAbandoned: Bool { get }
    /// Lets `encode` append bytes.
    ///
    /// - Parameter isText: they are meant for reading.
    func append(isText: Bool, _ encode: (inout [UInt8]) -> Void) throws
    /// Hands on what was appended.
    func flush() throws
    /// Nothing more comes.
    func finish() throws
}

/// Writes the results of some batches.
///
/// In the order of the input, what has not ended holds up what comes after it, unless gaps were asked for.
package struct ResultPrinter {
    private let batches: [BatchID]
    private let store: any JobStore
    private let format: ResultFormat
    private let states: Set<JobState>
    private let order: ResultOrder
    private let hasGaps: Bool
    private let sink: any ResultSink
    /// Where each batch was read to.
    private var positions: [BatchID: Int64] = [:]
    private var hasHeader = false

    /// - Parameters:
    ///   - states: only jobs that ended so.
    ///   - hasGaps: jobs that have not ended are passed over.
    package init(
        of batches: [BatchID], from store: any JobStore, as format: ResultFormat,
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

    /// Writes what has come since the last time.
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

    /// Writes the rest; a file takes its name.
    package mutating func finish() throws {
        try writeNews()
        try writeHeader()
        try sink.finish()
    }

    /// Returns whether nothing more of the batch can come.
    private mutating func writeNews(of batch: BatchSummary, willWrite: () -> Void) throws -> Bool {
        let isWhole = batch.status.isTerminal
        // To stop at what has not ended, one must see it.
        let stopsAtGaps = order == .input && !hasGaps && !isWhole
        let query = ResultQuery(
            batch: batch.id, order: order, states: stopsAtGaps ? Set(JobState.allCases) : states)
        let position = positions[batch.id] ?? 0
        // Asked again and again while a long job holds up the others: one row tells that there is nothing.
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
