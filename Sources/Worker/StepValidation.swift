// Rejects a scheduled step that contradicts the batch, before anything is changed or run.

import Platform
import Sampling

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
        let count = rows.reduce(0) { $0 + $1.ids.count }
        guard batch.count + count <= limits.maxNumSeqs else {
            throw fault("\(count) rows join \(batch.count) in a batch of \(limits.maxNumSeqs)")
        }
        var seen: Set<RequestID> = []
        var budget = limits.maxNumBatchedTokens
        for row in rows {
            for id in row.ids {
                guard batch.slot(of: id) == nil, seen.insert(id).inserted else {
                    throw fault("\(id) joins the batch and is in it already")
                }
            }
            try check(row)
            for fork in row.forks { try check(fork, of: row) }
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
            let new = decoded.newBlocks.first?.count ?? 0
            if !decoded.newBlocks.isEmpty { try check(lists: decoded.newBlocks, of: row.id) }
            for (group, blocks) in decoded.newBlocks.enumerated() { try check(blocks, of: group, row.id) }
            try check(
                tokenCount: row.tokens.count, atMost: limits.maxModelLen - 1, blockCount: row.blockCount + new,
                of: row.id)
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
        let copies = row.computedTokens.isMultiple(of: limits.kvCache.blockSize) ? 0 : limits.kvCache.groups.count
        guard row.copiedBlocks.count == copies else {
            throw fault("\(row.id) has \(row.computedTokens) tokens computed and copies blocks \(row.copiedBlocks)")
        }
        try check(lists: row.blocks, of: row.id)
        // A request that wants no token may have a prompt as long as the longest sequence.
        let most = limits.maxModelLen - min(row.sampling.maxTokens, 1)
        try check(tokenCount: row.tokens.count, atMost: most, blockCount: row.blocks[0].count, of: row.id)
        for (group, blocks) in row.blocks.enumerated() {
            // A row owns no block that it cannot need: others use it.
            let first = limits.kvCache.firstBlock(of: group, at: row.computedTokens)
            guard blocks.prefix(first).allSatisfy({ $0 == KVCacheShape.noBlock }) else {
                throw fault("\(row.id) has blocks behind its window: \(Array(blocks.prefix(first)))")
            }
            try check(blocks.dropFirst(first), of: group, row.id)
        }
        for (group, block) in row.copiedBlocks.enumerated() { try check([block], of: group, row.id) }
    }

    private func check(_ fork: ForkedRow, of row: PrefillRow) throws(DeviceFault) {
        guard limits.prefixSharing == .anywhere else { throw fault("\(fork.id) forks, and blocks cannot be copied") }
        try check(lists: fork.blocks, of: fork.id)
        let full = row.tokens.count / limits.kvCache.blockSize
        for (group, blocks) in fork.blocks.enumerated() {
            guard blocks.count == row.blocks[group].count, blocks.prefix(full) == row.blocks[group].prefix(full) else {
                throw fault("\(fork.id) has blocks \(blocks) and forks \(row.blocks[group])")
            }
            let own = blocks.dropFirst(full)
            try check(own, of: group, fork.id)
            guard own != row.blocks[group].dropFirst(full) || own.isEmpty else {
                throw fault("\(fork.id) writes into the blocks of \(row.id)")
            }
        }
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

    /// Checks that there is a list of blocks for each group, all of the same length.
    private func check(lists: [[Int32]], of id: RequestID) throws(DeviceFault) {
        let lengths = lists.map(\.count)
        guard lengths.count == limits.kvCache.groups.count, lengths.allSatisfy({ $0 == lengths[0] }) else {
            throw fault("\(id) has \(lengths) blocks in \(limits.kvCache.groups.count) groups")
        }
    }

    private func check(
        _ blocks: some Sequence<Int32>, of group: Int, _ id: RequestID
    ) throws(DeviceFault) {
        let pool = limits.kvCache.blocks(of: group)
        for block in blocks where !pool.contains(block) {
            throw fault("\(id) has block \(block) in a pool of \(pool)")
        }
    }

    private func check(
        tokenCount: Int, atMost most: Int, blockCount: Int, of id: RequestID
    ) throws(DeviceFault) {
        guard tokenCount <= most else {
            throw fault("\(id) has \(tokenCount) tokens and max_model_len is \(limits.maxModelLen)")
        }
        guard tokenCount <= blockCount * limits.kvCache.blockSize, blockCount <= pageTableWidth else {
            throw fault("\(id) has \(blockCount) blocks for \(tokenCount) tokens")
        }
    }

    private func fault(_ reason: String) -> DeviceFault { DeviceFault(operation: "scheduled step", reason: reason) }
}
