// The persistent device batch: which request lies in which row, with all that a step needs of it.

import Platform

/// The rows of the device batch.
///
/// A row stays where it is until it leaves, so that what a device keeps for its place (random state, its last token) is
/// never another row's. New rows take the lowest empty places.
struct InputBatch {
    /// A request in the batch.
    struct Row: Equatable {
        let id: RequestID
        /// Prompt and generated tokens; the last one is the next decode step's input.
        var tokens: [Int32]
        let promptLength: Int
        /// KV blocks, in the order of the tokens in them.
        var blocks: [Int32]
        let sampling: SamplingParams

        var generatedCount: Int { tokens.count - promptLength }
    }

    /// The rows by their place, `nil` where a place is empty.
    private(set) var rows: [Row?]
    /// `[rows, width]`, zeros in empty places.
    private(set) var pageTable: PageTable
    /// Changes whenever a row joins or leaves.
    private(set) var layoutVersion = 0
    /// Changes whenever a row gets blocks.
    private(set) var tableVersion = 0
    private var places: [RequestID: Int] = [:]

    /// An empty batch.
    init(maxNumSeqs: Int, pageTableWidth: Int) {
        rows = Array(repeating: nil, count: maxNumSeqs)
        pageTable = PageTable(rows: maxNumSeqs, width: pageTableWidth)
    }

    /// Rows in use.
    var count: Int { places.count }

    /// The place of a request's row.
    func place(of id: RequestID) -> Int? { places[id] }

    /// Adds a row in the lowest empty place, which there must be.
    mutating func add(_ row: Row) -> Int {
        guard let place = rows.firstIndex(where: { $0 == nil }) else {
            preconditionFailure("the batch of \(rows.count) rows is full")
        }
        put(row, at: place)
        layoutVersion += 1
        return place
    }

    /// Removes a request's row, which there must be.
    mutating func remove(_ id: RequestID) {
        guard let place = places.removeValue(forKey: id) else { preconditionFailure("\(id) is not in the batch") }
        clear(place)
        layoutVersion += 1
    }

    /// Gives the row at `place` further blocks.
    mutating func append(blocks: [Int32], at place: Int) {
        guard !blocks.isEmpty else { return }
        rows[place]!.blocks += blocks
        pageTable.setRow(place, to: rows[place]!.blocks)
        tableVersion += 1
    }

    /// Gives the row at `place` the token that was sampled for it.
    mutating func append(token: Int32, at place: Int) { rows[place]!.tokens.append(token) }

    private mutating func put(_ row: Row, at place: Int) {
        rows[place] = row
        places[row.id] = place
        pageTable.setRow(place, to: row.blocks)
    }

    private mutating func clear(_ place: Int) {
        rows[place] = nil
        pageTable.setRow(place, to: EmptyCollection())
    }
}
