// The state that the device keeps from one decode step to the next, and how a plan changes it (TT contract §1.6).

import Platform

/// The inputs of the fixed decode batch on the device.
struct DecodeState: Equatable {
    /// Input token of each row.
    var tokens: [Int32]
    /// Position of each row's input token, −1 in padding rows.
    var positions: [Int32]
    /// Each row's blocks.
    var pageTable: PageTable
    /// Each row's sampling.
    var sampling: [RowSampling]
    /// The token that the last step sampled on the device for each row; `nil` if the host sampled it.
    var sampled: [Int32?]

    /// No rows yet.
    init() {
        tokens = []
        positions = []
        pageTable = PageTable(rows: 0, width: 0)
        sampling = []
        sampled = []
    }

    /// Applies a step's plan in the contract's order: sampling parameters, inputs. There is no random state to reset,
    /// because the random stream is counter-based. A step that continues changes the state in place and allocates
    /// nothing.
    ///
    /// - Throws: `DeviceFault`, without a change, if the plan continues from state that the device does not have.
    mutating func apply(_ plan: DecodePlan, _ batch: DecodeBatch) throws(DeviceFault) {
        try check(plan, batch)
        if plan.reloadSamplingParams { sampling = batch.sampling }
        switch plan.inputs {
        case .reloadAll:
            tokens = batch.tokens
            positions = batch.positions
            pageTable = batch.pageTable
            sampled = Array(repeating: nil, count: tokens.count)
        case .reloadPageTable:
            pageTable = batch.pageTable
            advance()
        case .keep:
            advance()
        }
    }

    private func check(_ plan: DecodePlan, _ batch: DecodeBatch) throws(DeviceFault) {
        let reloads = plan.inputs == .reloadAll
        let rows = reloads ? batch.tokens.count : tokens.count
        if !reloads {
            guard rows > 0 else { throw Self.fault("the first step must load its inputs") }
            for row in tokens.indices where positions[row] >= 0 && sampled[row] == nil {
                throw Self.fault("row \(row)'s last token was sampled on the host: inputs must be reloaded")
            }
        }
        let positionCount = reloads ? batch.positions.count : positions.count
        let tableRows = plan.inputs == .keep ? pageTable.rowCount : batch.pageTable.rowCount
        let samplingCount = plan.reloadSamplingParams ? batch.sampling.count : sampling.count
        guard positionCount == rows, tableRows == rows, samplingCount == rows else {
            throw Self.fault(
                "the batch has \(rows) tokens, \(positionCount) positions, "
                    + "\(tableRows) page table rows and \(samplingCount) sampling rows")
        }
    }

    private mutating func advance() {
        for row in tokens.indices where positions[row] >= 0 {
            tokens[row] = sampled[row]!
            positions[row] += 1
        }
    }

    static func fault(_ reason: String) -> DeviceFault { DeviceFault(operation: "decode step", reason: reason) }
}
