// The persistent device batch: the request in each batch slot, with what a step needs from it.

import Platform

/// The rows of the device batch.
///
/// A row keeps its slot until it leaves, so that the device's state for the slot (random state, last token) always
/// belongs to that row. New rows take the lowest empty slots.
struct InputBatch {
    /// A request in the batch.
    struct Row: Equatable {
        let id: RequestID
        /// Prompt and generated tokens; the last one is the next decode step's input.
        var tokens: [Int32]
        let promptLength: Int
        /// KV blocks, in the order of their tokens.
        var blocks: [Int32]
        let sampling: SamplingParams

        var generatedCount: Int { tokens.count - promptLength }
    }

    /// The rows by slot; `nil` for an empty slot.
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

    /// Adds a row in the lowest empty slot and returns the slot; there must be one.
    mutating func add(_ row: Row) -> Int {
        guard let slot = rows.firstIndex(where: { $0 == nil }) else {
            preconditionFailure("the batch of \(rows.count) rows is full")
        }
        put(row, at: slot)
        layoutVersion += 1
        return slot
    }

    /// Removes a request's row, which must be in the batch.
    mutating func remove(_ id: RequestID) {
        guard let slot = slots.removeValue(forKey: id) else { preconditionFailure("\(id) is not in the batch") }
        clear(slot)
        layoutVersion += 1
    }

    /// Appends blocks to the row at `slot`.
    mutating func append(blocks: [Int32], at slot: Int) {
        guard !blocks.isEmpty else { return }
        rows[slot]!.blocks += blocks
        pageTable.setRow(slot, to: rows[slot]!.blocks)
        tableVersion += 1
    }

    /// Appends the sampled token to the row at `slot`.
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
