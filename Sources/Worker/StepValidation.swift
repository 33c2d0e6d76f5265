// Rejects a scheduled step that contradicts the batch, before anything is changed or run.

import Platform

/// Checks steps against the limits and the batch; a step beyond them would read or write other requests' memory.
struct StepValidation {
    let limits: StepLimits
    let pageTableWidth: Int

    /// Checks that all leaving requests are in the batch, each once.
    func check(leaving: [RequestID], _ batch: InputBatch) throws(DeviceFault) {
        var seen: Set<RequestID> = []
        for id in leaving where batch.slot(of: id) == nil || !seen.insert(id).inserted {
            throw fault("\(id) leaves the batch and is not in it")
        }
    }

    /// Checks rows that join the batch.
    func check(prefill rows: [PrefillRow], _ batch: InputBatch) throws(DeviceFault) {
        guard batch.count + rows.count <= limits.maxNumSeqs else {
            throw fault("\(rows.count) rows join \(batch.count) in a batch of \(limits.maxNumSeqs)")
        }
        var seen: Set<RequestID> = []
        var budget = limits.maxNumBatchedTokens
        for row in rows {
            guard batch.slot(of: row.id) == nil, seen.insert(row.id).inserted else {
                throw fault("\(row.id) joins the batch and is in it already")
            }
            try check(row)
            budget -= limits.prefillPadding.length(of: row.tokens.count, from: row.computedTokens)
        }
        guard budget >= 0 else {
            throw fault("a prefill of more than \(limits.maxNumBatchedTokens) tokens")
        }
    }

    /// Checks that `rows` are exactly the rows of the batch, and that each has a block for the token that it decodes.
    func check(decode rows: [DecodeRow], _ batch: InputBatch) throws(DeviceFault) {
        var seen: Set<RequestID> = []
        for decoded in rows {
            guard let slot = batch.slot(of: decoded.id), let row = batch.rows[slot] else {
                throw fault("\(decoded.id) decodes and is not in the batch")
            }
            guard seen.insert(decoded.id).inserted else { throw fault("\(decoded.id) decodes twice in a step") }
            try check(blocks: decoded.newBlocks, of: row.id)
            try check(
                tokenCount: row.tokens.count, blockCount: row.blocks.count + decoded.newBlocks.count, of: row.id)
        }
        guard rows.count == batch.count else {
            throw fault("\(rows.count) rows decode and \(batch.count) are in the batch")
        }
    }

    private func check(_ row: PrefillRow) throws(DeviceFault) {
        guard (1...max(1, row.tokens.count)).contains(row.promptLength),
            row.tokens.allSatisfy({ (0..<limits.vocabularySize).contains(Int($0)) })
        else {
            throw fault("\(row.id) has no prompt, or tokens that are not in the vocabulary")
        }
        guard (0..<row.tokens.count).contains(row.computedTokens), mayBegin(row) else {
            throw fault("\(row.id) has \(row.computedTokens) of \(row.tokens.count) tokens computed")
        }
        guard (row.copiedBlock == nil) == row.computedTokens.isMultiple(of: limits.kvCache.blockSize) else {
            let copied = row.copiedBlock.map { "block \($0)" } ?? "no block"
            throw fault("\(row.id) has \(row.computedTokens) tokens computed and copies \(copied)")
        }
        try check(blocks: row.blocks + (row.copiedBlock.map { [$0] } ?? []), of: row.id)
        try check(tokenCount: row.tokens.count, blockCount: row.blocks.count, of: row.id)
    }

    /// Whether the device can begin a prefill after the row's computed tokens.
    private func mayBegin(_ row: PrefillRow) -> Bool {
        let computed = row.computedTokens
        return switch limits.prefixSharing {
        case .none: computed == 0
        case .anywhere: true
        case .aligned(let alignment):
            computed.isMultiple(of: limits.kvCache.blockSize)
                && alignment.start(atMost: computed, of: row.tokens.count, limits.prefillPadding) == computed
        }
    }

    private func check(blocks: [Int32], of id: RequestID) throws(DeviceFault) {
        for block in blocks where !limits.kvCache.blocks.contains(block) {
            throw fault("\(id) has block \(block) in a pool of \(limits.kvCache.blocks)")
        }
    }

    private func check(tokenCount: Int, blockCount: Int, of id: RequestID) throws(DeviceFault) {
        guard tokenCount < limits.maxModelLen else {
            throw fault("\(id) has \(tokenCount) tokens and max_model_len is \(limits.maxModelLen)")
        }
        guard tokenCount <= blockCount * limits.kvCache.blockSize, blockCount <= pageTableWidth else {
            throw fault("\(id) has \(blockCount) blocks for \(tokenCount) tokens")
        }
    }

    private func fault(_ reason: String) -> DeviceFault { DeviceFault(operation: "scheduled step", reason: reason) }
}
