// A step's input, prepared from the batch: the tensors and their batch slots.

import Platform
import Sampling

/// The prepared input of a step.
struct TTModelInput {
    /// The call to the model.
    enum Call {
        /// Prompts, packed.
        case prefill(PrefillBatch)
        /// One token for each row in use; the planner compares the next step with the last element.
        case decode(DecodeBatch, DecodePlan, DecodePlanner.Step)
    }

    /// The call to the model.
    let call: Call
    /// The batch slots of the step's outputs, in the scheduler's order: a prefilled row's is followed by its forks'.
    let slots: [Int]
    /// The places of these outputs in the model's output.
    let places: [Int]
    /// What each of these rows is to get; nil if it is not known yet.
    var wanted: [WantedOutput?]
}

/// What a row is to get from a step.
enum WantedOutput {
    /// A token, chosen like this.
    case token(TokenDraw)
    /// A token, but its request allows none, for this reason.
    case impossible(String)
    /// No token.
    case nothing
}

extension InputBatch {
    /// The prefill of the rows at `slots`, whose first `computed[i]` tokens are in their blocks already or are copied
    /// there.
    func prefillInput(
        slots: [Int], computed: [Int], copies: [BlockCopy], sampling: [RowSampling], forks: [PrefillFork],
        scoring: [Int: PromptLogprobsRequest]
    ) -> PrefillBatch {
        var table = PageTable(rows: slots.count, width: pageTable.width, groups: kvCache.groups.count)
        var tokens: [[Int32]] = []
        for (index, slot) in slots.enumerated() {
            let row = rows[slot]!
            tokens.append(row.tokens)
            for (group, blocks) in row.blocks.enumerated() { table.setRow(index, group: group, to: blocks) }
        }
        return PrefillBatch(
            copies: copies, tokens: tokens, startPositions: computed.map(Int32.init), pageTable: table, slots: slots,
            sampling: sampling, forks: forks, scoring: scoring)
    }

    /// The decode step of all rows, those at `slots`, padded to the fixed batch: token 0, position −1, `padding`
    /// sampling.
    func decodeInput(slots: [Int], sampling: [RowSampling], padding: RowSampling) -> DecodeBatch {
        var batch = DecodeBatch(
            tokens: Array(repeating: 0, count: rows.count), positions: Array(repeating: -1, count: rows.count),
            pageTable: pageTable, sampling: Array(repeating: padding, count: rows.count))
        for (slot, row) in rows.enumerated() {
            guard let row, let last = row.tokens.last else { continue }
            batch.tokens[slot] = last
            batch.positions[slot] = Int32(row.tokens.count - 1)
        }
        for (slot, sampling) in zip(slots, sampling) { batch.sampling[slot] = sampling }
        return batch
    }
}
