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
    func checkIntegrity(prefilling: [RequestID]) throws(IntegrityViolation) {
        try checkQueues()
        try checkBlocks()
        for id in running { try checkSharing(of: requests[id]!, isPrefilling: prefilling.contains(id)) }
    }

    private func checkQueues() throws(IntegrityViolation) {
        try require(running.count <= limits.maxNumSeqs, "\(running.count) rows in \(limits.maxNumSeqs) slots")
        for (name, queue) in [("waiting", waiting), ("running", running)] {
            let arrivals = queue.compactMap { requests[$0]?.arrival }
            try require(
                zip(arrivals, arrivals.dropFirst()).allSatisfy(<), "\(name) is not in order of arrival: \(queue)")
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
            guard case .running(let blocks, _)? = requests[id]?.phase else {
                throw IntegrityViolation(description: "\(id) is in the batch but does not run")
            }
            // The newest token's keys and values are written by the next step, which also allocates the block for them.
            let tokens = requests[id]!.tokens.count
            let range = pool.blocksNeeded(forTokens: tokens - 1)...pool.blocksNeeded(forTokens: tokens)
            try require(range.contains(blocks.count), "\(id) has \(blocks.count) blocks for \(tokens) tokens")
        }
    }

    private func checkBlocks() throws(IntegrityViolation) {
        var referenceCounts = Array(repeating: Int32(0), count: pool.referenceCounts.count)
        for request in requests.values {
            try require(Set(request.blocks).count == request.blocks.count, "\(request.id) has a block twice")
            try require(
                request.blocks.allSatisfy(pool.blocks.contains), "\(request.id) has a block outside of \(pool.blocks)")
            for block in request.blocks { referenceCounts[Int(block)] += 1 }
        }
        try require(referenceCounts == pool.referenceCounts, "reference counts are not those of the requests")
        let free = pool.freeBlocks
        try require(Set(free).count == free.count, "a block is free twice")
        try require(
            free.allSatisfy { pool.blocks.contains($0) && referenceCounts[Int($0)] == 0 },
            "a free block is referred to, or is none of the pool")
        let used = referenceCounts.filter { $0 > 0 }.count
        try require(
            used + free.count == pool.totalCount, "\(used) blocks used and \(free.count) free of \(pool.totalCount)")
    }

    /// Checks that a request's cached blocks have the content that the index says, and that no other request refers to
    /// the block that is written next.
    private func checkSharing(of request: EngineRequest, isPrefilling: Bool) throws(IntegrityViolation) {
        guard case .running(let blocks, let cached) = request.phase else { return }
        // The keys and values of all tokens but the newest have been written.
        let written = request.tokens.dropLast()
        let full = written.count / pool.blockSize
        // While a prompt is being prefilled, only its cached prefix is in the index.
        let expected = limits.prefixSharing != .none ? (isPrefilling ? min(full, cached.blockCount) : full) : 0
        try require(
            cached.blockCount == expected,
            "\(request.id) has \(full) full blocks, and \(cached.blockCount) are cached")
        for (index, block) in blocks.enumerated() {
            let content = pool.content(of: block)
            if index < cached.blockCount {
                let tokens = written[index * pool.blockSize..<(index + 1) * pool.blockSize]
                try require(content == nil || content?.tokens == tokens, "block \(block) is cached with other tokens")
            } else {
                try require(content == nil, "\(request.id) writes into block \(block), which is cached")
                try require(
                    pool.referenceCounts[Int(block)] == 1, "\(request.id) writes into block \(block), which is shared")
            }
        }
    }

    private func require(
        _ condition: Bool, _ description: @autoclosure () -> String
    ) throws(IntegrityViolation) {
        if !condition { throw IntegrityViolation(description: description()) }
    }
}
