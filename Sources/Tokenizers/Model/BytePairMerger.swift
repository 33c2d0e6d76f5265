// Byte-pair encoding of one piece: the lowest rank first, the leftmost of equal ones. Short pieces are scanned; long
// ones use a heap, in O(n log n).

/// Merges the bytes or characters of a piece into tokens. It has scratch memory, so each thread needs its own.
///
/// The order of merges is that of Hugging Face `tokenizers`. A symbol without a token and without a substitute is left out,
/// and its neighbours become adjacent, as in that library.
struct BytePairMerger {
    private let merges: MergeTable
    private let symbolTable: Symbols
    private var symbols: [Symbol] = []
    /// Candidate merges as a binary min-heap of `rank << 32 | position`.
    private var heap: [UInt64] = []

    /// A token of the piece and its neighbours; positions are indices into `symbols`.
    private struct Symbol {
        var id: Int32
        var previous: Int32
        var next: Int32
        /// The present merge with `next`. An older entry of the heap has another rank and is skipped.
        var merge: Merge
    }

    /// Up to this length, scanning all symbols for the lowest rank is faster than a heap.
    private static let longestScanned = 24

    init(merges: MergeTable, symbols: Symbols) {
        self.merges = merges
        symbolTable = symbols
    }

    /// Appends the tokens of `piece` to `ids`.
    mutating func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        symbols.removeAll(keepingCapacity: true)
        switch symbolTable {
        case .bytes(let tokens): load(piece, tokens)
        case .characters(let characters): load(piece, characters)
        }
        if symbols.count <= Self.longestScanned { return mergeByScanning(into: &ids) }
        symbols[symbols.count - 1].next = -1
        for position in symbols.indices { refreshMerge(at: position) }
        while let candidate = popCandidate() {
            let position = Int(candidate & 0xFFFF_FFFF)
            let merge = symbols[position].merge
            if UInt64(merge.rank) == candidate >> 32 { apply(merge, at: position) }
        }
        var position: Int32 = 0
        while position >= 0 {
            ids.append(symbols[Int(position)].id)
            position = symbols[Int(position)].next
        }
    }

    private mutating func mergeByScanning(into ids: inout [Int32]) {
        for position in symbols.indices.dropLast() { symbols[position].merge = merge(at: position) }
        while true {
            var best = 0
            var rank = Merge.none.rank
            for position in symbols.indices where symbols[position].merge.rank < rank {
                best = position
                rank = symbols[position].merge.rank
            }
            if rank == Merge.none.rank { break }
            symbols[best].id = symbols[best].merge.result
            symbols.remove(at: best + 1)
            symbols[best].merge = best + 1 < symbols.count ? merge(at: best) : .none
            if best > 0 { symbols[best - 1].merge = merge(at: best - 1) }
        }
        for symbol in symbols { ids.append(symbol.id) }
    }

    /// The merge of the symbol at `position` with its right neighbour, if they are adjacent.
    private func merge(at position: Int) -> Merge {
        merges.merge(symbols[position].id, symbols[position + 1].id)
    }

    // MARK: Symbols

    private mutating func append(_ id: Int32) {
        let position = Int32(symbols.count)
        symbols.append(Symbol(id: id, previous: position - 1, next: position + 1, merge: .none))
    }

    private mutating func load(_ piece: UnsafeBufferPointer<UInt8>, _ tokens: [Int32]) {
        for byte in piece where tokens[Int(byte)] >= 0 { append(tokens[Int(byte)]) }
    }

    private mutating func load(_ piece: UnsafeBufferPointer<UInt8>, _ characters: CharacterSymbols) {
        // An unknown token that waits for more of its run.
        var pending: Int32?
        UTF8Scalars.forEach(in: piece) { value, range in
            let (isFirst, isLast) = (range.lowerBound == 0, range.upperBound == piece.count)
            let id = characters.id(of: value, isFirst: isFirst, isLast: isLast)
            if id >= 0 {
                if let unknown = pending.take() { append(unknown) }
                return append(id)
            }
            // What is spelt in bytes does not end a run of unknown ones: so it is in Hugging Face `tokenizers`.
            if appendBytes(UnsafeBufferPointer(rebasing: piece[range]), characters, isFirst, isLast) { return }
            guard case .token(let unknown, let isFused) = characters.unknown else { return }
            if let earlier = pending, !isFused { append(earlier) }
            pending = unknown
        }
        if let unknown = pending { append(unknown) }
    }

    /// Appends the tokens of a character's bytes, if all of them have one.
    private mutating func appendBytes(
        _ character: UnsafeBufferPointer<UInt8>, _ characters: CharacterSymbols, _ isFirst: Bool, _ isLast: Bool
    ) -> Bool {
        let (prefix, suffix) = (isFirst ? [] : characters.prefix, isLast ? characters.suffix : [])
        let parts = [prefix, Array(character), suffix]
        guard parts.allSatisfy({ $0.allSatisfy { characters.byteTokens[Int($0)] >= 0 } }) else { return false }
        for part in parts { for byte in part { append(characters.byteTokens[Int(byte)]) } }
        return true
    }

    // MARK: Long pieces

    /// Looks up the merge of the symbol at `position` with its right neighbour, and makes it a candidate.
    private mutating func refreshMerge(at position: Int) {
        let next = symbols[position].next
        let merge = next >= 0 ? merges.merge(symbols[position].id, symbols[Int(next)].id) : .none
        symbols[position].merge = merge
        if merge != .none { pushCandidate(UInt64(merge.rank) << 32 | UInt64(position)) }
    }

    private mutating func apply(_ merge: Merge, at position: Int) {
        let absorbed = Int(symbols[position].next)
        let next = symbols[absorbed].next
        symbols[absorbed].merge = .none
        symbols[position].id = merge.result
        symbols[position].next = next
        if next >= 0 { symbols[Int(next)].previous = Int32(position) }
        refreshMerge(at: position)
        if symbols[position].previous >= 0 { refreshMerge(at: Int(symbols[position].previous)) }
    }

    private mutating func pushCandidate(_ candidate: UInt64) {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if heap[parent] <= candidate { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = candidate
    }

    private mutating func popCandidate() -> UInt64? {
        guard let last = heap.popLast() else { return nil }
        guard let first = heap.first else { return last }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            if last <= heap[child] { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return first
    }
}
