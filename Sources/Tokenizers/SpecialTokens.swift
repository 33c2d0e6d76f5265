// Finds the tokens that are matched as text before pre-tokenising: control tokens and user-defined tokens.

/// Special tokens by their text, as a trie.
struct SpecialTokens: Sendable {
    /// A special token found in a text.
    struct Match: Equatable {
        /// The token.
        let id: Int32
        /// The range of its bytes in the text.
        let range: Range<Int>
    }

    private struct Node {
        var id: Int32 = -1
        var isControl = false
    }

    private var nodes = [Node()]
    /// Maps `node << 8 | byte` to the next node.
    private var edges: [UInt32: UInt32] = [:]
    private var startsToken = [Bool](repeating: false, count: 256)

    init(_ vocabulary: Vocabulary) {
        for id in 0..<Int32(vocabulary.count) {
            switch vocabulary.kinds[Int(id)] {
            case .normal, .unused, .byte: continue
            case .control, .unknown: insert(vocabulary.bytes[vocabulary.range(of: id)], id: id, isControl: true)
            case .userDefined: insert(vocabulary.bytes[vocabulary.range(of: id)], id: id, isControl: false)
            }
        }
    }

    private mutating func insert(_ text: ArraySlice<UInt8>, id: Int32, isControl: Bool) {
        guard let first = text.first else { return }
        startsToken[Int(first)] = true
        var node: UInt32 = 0
        for byte in text {
            let edge = node << 8 | UInt32(byte)
            if let next = edges[edge] {
                node = next
            } else {
                node = UInt32(nodes.count)
                nodes.append(Node())
                edges[edge] = node
            }
        }
        if nodes[Int(node)].id < 0 { nodes[Int(node)] = Node(id: id, isControl: isControl) }
    }

    /// The first special token in `text` at or after byte `start`; the longest one if several start there.
    ///
    /// - Parameter controlRanges: the ranges in which control tokens are matched, ascending and disjoint. A token must
    ///   lie entirely in one of them. User-defined tokens are matched everywhere, since they are ordinary vocabulary.
    func firstMatch(
        in text: UnsafeBufferPointer<UInt8>, from start: Int, controlRanges: [Range<Int>]
    ) -> Match? {
        startsToken.withUnsafeBufferPointer { startsToken in
            for position in start..<text.count where startsToken[Int(text[position])] {
                if let match = longestMatch(in: text, at: position, controlRanges) { return match }
            }
            return nil
        }
    }

    private func longestMatch(
        in text: UnsafeBufferPointer<UInt8>, at start: Int, _ controlRanges: [Range<Int>]
    ) -> Match? {
        var longest: Match?
        var node: UInt32 = 0
        var controlEnd: Int?
        for position in start..<text.count {
            guard let next = edges[node << 8 | UInt32(text[position])] else { break }
            node = next
            let token = nodes[Int(node)]
            guard token.id >= 0 else { continue }
            if token.isControl {
                let limit = controlEnd ?? Self.end(of: controlRanges, around: start)
                controlEnd = limit
                if position >= limit { continue }
            }
            longest = Match(id: token.id, range: start..<position + 1)
        }
        return longest
    }

    /// The end of the range that contains `position`; `position` itself if none does.
    private static func end(of ranges: [Range<Int>], around position: Int) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= position { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(position) ? ranges[low].upperBound : position
    }
}
