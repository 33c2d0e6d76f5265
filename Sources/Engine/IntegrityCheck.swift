// A check of the engine's invariants between steps, for tests and diagnosis.

import Platform

/// An invariant that does not hold.
public struct IntegrityViolation: Error, CustomStringConvertible {
    /// The violation that was found.
    public let description: String
}

extension Scheduler {
    /// Throws the first violation found.
    ///
    /// - Parameter prefilling: the rows of a prefill step that is running.
    func checkIntegrity(prefilling: [PrefillRow]) throws(IntegrityViolation) {
        try checkQueues()
        for group in pool.groups { try check(group) }
        for id in running {
            let row = prefilling.first { $0.ids.contains(id) }
            // The first token that a later step computes, or the running one.
            let request = requests[id]!
            let computed = row?.computedTokens ?? request.pieces?.computed
            try checkLists(of: request, from: computed ?? request.tokens.count - 1)
            try checkSharing(of: requests[id]!, row)
        }
    }

    private func checkQueues() throws(IntegrityViolation) {
        try require(running.count <= limits.maxNumSeqs, "\(running.count) rows in \(limits.maxNumSeqs) slots")
        for (name, queue) in [("waiting", waiting), ("running", running)] {
            let requests = queue.compactMap { self.requests[$0] }
            try require(
                zip(requests, requests.dropFirst()).allSatisfy { $0.precedes($1) }, "\(name) is not in order: \(queue)")
        }
        try require(
            waiting.count + running.count == requests.count,
            "\(waiting.count) waiting and \(running.count) running, but \(requests.count) requests")
        for id in waiting {
            guard case .waiting(let overtaken)? = requests[id]?.phase else {
                throw IntegrityViolation(description: "\(id) is queued as waiting but does not wait")
            }
            try require(overtaken <= overtakingLimit, "\(id) was overtaken \(overtaken) times")
        }
        for id in running {
            guard case .running? = requests[id]?.phase else {
                throw IntegrityViolation(description: "\(id) is in the batch but does not run")
            }
        }
    }

    /// Checks that a request has the blocks for its tokens that the one at `position` and later ones attend to, and no
    /// others.
    private func checkLists(of request: EngineRequest, from position: Int) throws(IntegrityViolation) {
        // The newest token's keys and values are written by the next step, which also allocates the block for them.
        let tokens = request.tokens.count
        let range = pool.blocksNeeded(forTokens: tokens - 1)...pool.blocksNeeded(forTokens: tokens)
        for (group, blocks) in request.blocks.enumerated() {
            try require(
                range.contains(blocks.count), "\(request.id) has \(blocks.count) blocks for \(tokens) tokens")
            let first = pool.shape.firstBlock(of: group, at: position)
            try require(
                blocks.prefix(first).allSatisfy { $0 == KVCacheShape.noBlock },
                "\(request.id) has blocks behind its window")
            try require(
                blocks.dropFirst(first).allSatisfy(pool.groups[group].blocks.contains),
                "\(request.id) has a block outside of \(pool.groups[group].blocks)")
        }
    }

    /// Checks that every block of a group is in use or free.
    private func check(_ group: GroupBlocks) throws(IntegrityViolation) {
        var referenceCounts = Array(repeating: Int32(0), count: group.referenceCounts.count)
        for request in requests.values where !request.blocks.isEmpty {
            let blocks = request.blocks[group.group].filter { $0 != KVCacheShape.noBlock }
            try require(Set(blocks).count == blocks.count, "\(request.id) has a block twice")
            for block in blocks where group.blocks.contains(block) { referenceCounts[Int(block)] += 1 }
        }
        try require(referenceCounts == group.referenceCounts, "reference counts are not those of the requests")
        let free = group.freeBlocks
        try require(Set(free).count == free.count, "a block is free twice")
        try require(
            free.allSatisfy { group.blocks.contains($0) && referenceCounts[Int($0)] == 0 },
            "a free block is referred to, or is none of the pool")
        let used = referenceCounts.filter { $0 > 0 }.count
        try require(
            used + free.count == group.blocks.count,
            "\(used) blocks used and \(free.count) free of \(group.blocks.count)")
    }

    /// Checks that a request's cached blocks have the content that the index says, and that no other request refers to
    /// the block that is written next.
    ///
    /// - Parameter row: the row of a running prefill that the request belongs to.
    private func checkSharing(of request: EngineRequest, _ row: PrefillRow?) throws(IntegrityViolation) {
        guard case .running(let blocks, let cached) = request.phase else { return }
        let isPrefilling = row != nil || request.pieces != nil
        // The keys and values of all tokens but the newest have been written.
        let written = request.tokens.dropLast()
        let full = written.count / pool.blockSize
        // While a prompt is being prefilled, only its cached prefix is in the index.
        let expected = limits.prefixSharing != .none ? (isPrefilling ? min(full, cached.blockCount) : full) : 0
        try require(
            cached.blockCount == expected,
            "\(request.id) has \(full) full blocks, and \(cached.blockCount) are cached")
        for (group, blocks) in blocks.enumerated() {
            for (index, block) in blocks.enumerated() where block != KVCacheShape.noBlock {
                let content = pool.content(of: block, in: group)
                if index < cached.blockCount {
                    let tokens = written[index * pool.blockSize..<(index + 1) * pool.blockSize]
                    try require(
                        content == nil || content?.tokens == tokens, "block \(block) is cached with other tokens")
                } else {
                    try require(content == nil, "\(request.id) writes into block \(block), which is cached")
                    let isForked = row.map { !$0.forks.isEmpty && index < $0.tokens.count / pool.blockSize } ?? false
                    try require(
                        isForked || pool.groups[group].referenceCounts[Int(block)] == 1,
                        "\(request.id) writes into block \(block), which is shared")
                }
            }
        }
    }

    private func require(
        _ condition: Bool, _ description: @autoclosure () -> String
    ) throws(IntegrityViolation) {
        if !condition { throw IntegrityViolation(description: description()) }
    }
}
