// The persistent device batch: the request in each batch slot, with what a step needs from it.

import Platform
import Sampling

/// The rows of the device batch.
///
/// A row keeps its slot until it leaves, so that the device's state for the slot (random state, last token) always
/// belongs to that row. New rows take the lowest empty slots.
struct InputBatch {
    /// A request in the batch.
    struct Row {
        let id: RequestID
        /// Prompt and generated tokens; the last one is the next decode step's input.
        var tokens: [Int32]
        let promptLength: Int
        /// KV blocks in each group, in the order of their tokens; `KVCacheShape.noBlock` before the first one that the
        /// last token attends to, or in a prefill the first token to compute.
        var blocks: [[Int32]]
        let sampling: SamplingParams
        /// Follows the tokens; `nil` if the request changes no logits.
        var processor: RowProcessor?
        /// Follows the generated tokens; `nil` if no grammar constrains them.
        var constraint: RowConstraint?

        var generatedCount: Int { tokens.count - promptLength }
        /// Blocks in each group's list.
        var blockCount: Int { blocks[0].count }

        /// The next token, if the model does not choose it.
        var forcedToken: Int32? {
            sampling.forced.indices.contains(generatedCount) ? sampling.forced[generatedCount] : nil
        }

        /// What the next step is to give.
        var wanted: WantedOutput {
            guard sampling.maxTokens > 0 else { return .nothing }
            if let forcedToken {
                return .token(TokenDraw(.greedy, logprobs: SampledToken.request(forced: forcedToken)))
            }
            do throws(ConstraintFault) {
                let mask = try constraint?.nextTokens()
                guard let edits = processor.map({ $0.edits(constraint: mask) }) ?? LogitEdits(constraint: mask) else {
                    throw ConstraintFault("its fields together leave no token")
                }
                return .token(TokenDraw(sampling.token, edits: edits, logprobs: sampling.logprobs))
            } catch {
                return .impossible(error.description)
            }
        }
    }

    /// The rows by slot; `nil` for an empty slot.
    private(set) var rows: [Row?]
    /// `[groups, rows, width]`, zeros in empty slots.
    private(set) var pageTable: PageTable
    /// Changes whenever a row joins or leaves.
    private(set) var layoutVersion = 0
    /// Changes whenever a row gets blocks.
    private(set) var tableVersion = 0
    /// Changes whenever a row gets a token that the device did not choose.
    private(set) var tokenVersion = 0
    /// The KV cache that the blocks belong to.
    let kvCache: KVCacheShape
    private var slots: [RequestID: Int] = [:]

    /// An empty batch of rows with blocks of `kvCache`.
    init(maxNumSeqs: Int, pageTableWidth: Int, kvCache: KVCacheShape) {
        self.kvCache = kvCache
        rows = Array(repeating: nil, count: maxNumSeqs)
        pageTable = PageTable(rows: maxNumSeqs, width: pageTableWidth, groups: kvCache.groups.count)
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

    /// Appends each group's blocks to the row at `slot`.
    mutating func append(blocks: [[Int32]], at slot: Int) {
        guard !blocks.isEmpty else { return }
        for (group, new) in blocks.enumerated() {
            rows[slot]!.blocks[group] += new
            pageTable.setRow(slot, group: group, to: rows[slot]!.blocks[group])
        }
        tableVersion += 1
    }

    /// Whether the row's text could end with its newest token; `nil` if no grammar constrains it.
    func constraintState(at slot: Int) -> ConstraintState? { rows[slot]?.constraint?.state }

    /// Appends the sampled or forced token to the row at `slot`, which gives up the blocks that this token does not
    /// attend to.
    ///
    /// A device that keeps its page table may keep their entries, which it does not read.
    mutating func append(token: Int32, isForced: Bool = false, at slot: Int) {
        if isForced { tokenVersion += 1 }
        rows[slot]!.tokens.append(token)
        rows[slot]!.processor?.append(token)
        rows[slot]!.constraint?.accept(token)
        for group in kvCache.groups.indices where kvCache.groups[group].window != nil {
            let first = kvCache.firstBlock(of: group, at: rows[slot]!.tokens.count - 1)
            var place = min(first, rows[slot]!.blockCount)
            while place > 0, rows[slot]!.blocks[group][place - 1] != KVCacheShape.noBlock {
                place -= 1
                rows[slot]!.blocks[group][place] = KVCacheShape.noBlock
                pageTable.clear(slot, group: group, column: place)
            }
        }
    }

    private mutating func put(_ row: Row, at slot: Int) {
        rows[slot] = row
        slots[row.id] = slot
        for (group, blocks) in row.blocks.enumerated() { pageTable.setRow(slot, group: group, to: blocks) }
    }

    private mutating func clear(_ slot: Int) {
        rows[slot] = nil
        for group in kvCache.groups.indices { pageTable.setRow(slot, group: group, to: EmptyCollection()) }
    }
}
