// The persistent device batch: which request lies in which row, with all that a step needs of it.

import Platform

/// The rows of the device batch.
///
/// A row stays where it is until it leaves, so that what a device keeps for its slot (random state, its last token) is
/// never another row's. New rows take the lowest empty slots.
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

    /// The rows by their slot, `nil` where a slot is empty.
    private(set) var rows: [Row?]
    /// `[rows, width]`, zeros in empty slots.
    private(set) var pageTable: PageTable
    /// Changes whenever a row joins or leaves.
    private(set) var layoutVersion = 0
    /// Changes whenever a row gets blocks.
    private(set) var tableVersion = 0
    private var slots: [RequestID: Int] = [:]

    /// An empty batch.
    init(maxNumSeqs: Int, pageTableWidth: Int) {
        rows = Array(repeating: nil, count: maxNumSeqs)
        pageTable = PageTable(rows: maxNumSeqs, width: pageTableWidth)
    }

    /// Rows in use.
    var count: Int { slots.count }

    /// The slot of a request's row.
    func slot(of id: RequestID) -> Int? { slots[id] }

    /// Adds a row in the lowest empty slot, which there must be.
    mutating func add(_ row: Row) -> Int {
        guard let slot = rows.firstIndex(where: { $0 == nil }) else {
            preconditionFailure("the batch of \(rows.count) rows is full")
        }
        put(row, at: slot)
        layoutVersion += 1
        return slot
    }

    /// Removes a request's row, which there must be.
    mutating func remove(_ id: RequestID) {
        guard let slot = slots.removeValue(forKey: id) else { preconditionFailure("\(id) is not in the batch") }
        clear(slot)
        layoutVersion += 1
    }

    /// Gives the row at `slot` further blocks.
    mutating func append(blocks: [Int32], at slot: Int) {
        guard !blocks.isEmpty else { return }
        rows[slot]!.blocks += blocks
        pageTable.setRow(slot, to: rows[slot]!.blocks)
        tableVersion += 1
    }

    /// Gives the row at `slot` the token that was sampled for it.
    mutating func append(token: Int32, at slot: Int) { rows[slot]!.tokens.append(token) }

    private mutating func put(_ row: Row, at slot: Int) {
        rows[slot] = row
        slots[row.id] = slot
        pageTable.setRow(slot, to: row.blocks)
    }

    private mutating func clear(_ slot: Int) {
        rows[slot] = nil
        pageTable.setRow(slot, to: EmptyCollection())
    }
}
