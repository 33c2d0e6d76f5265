// Finds the tokens that are matched as text before a text is split: control tokens and user-defined tokens.

/// How an added token is matched. The names are those of tokenizer.json.
struct AddedTokenOptions: Sendable, Equatable {
    /// Whether it is a control token, which is left out of output and never made from a user's text.
    var isControl = false
    /// Whether it is found only where no word character is next to it.
    var isSingleWord = false
    /// Whether it swallows the white space before it.
    var stripsLeft = false
    /// Whether it swallows the white space behind it.
    var stripsRight = false
}

/// Added tokens by their text, as a trie.
struct AddedTokens: Sendable {
    /// An added token found in a text.
    struct Match: Equatable {
        /// The token.
        let id: Int32
        /// The range of its bytes in the text, with the white space that it swallows.
        let range: Range<Int>
    }

    private struct Node {
        var id: Int32 = -1
        var options = AddedTokenOptions()
    }

    private var nodes = [Node()]
    private var edges = Edges()
    /// The next node of the root by byte; 0 if no token begins with it.
    private var first = [UInt32](repeating: 0, count: 256)

    var isEmpty: Bool { nodes.count == 1 }
    /// Whether a control token is among them.
    private(set) var hasControl = false

    /// Adds the token `id`, matched as `text`. If two have the same text, the first one is found.
    mutating func insert(_ text: some Collection<UInt8>, id: Int32, _ options: AddedTokenOptions) {
        if text.isEmpty { return }
        var node: UInt32 = 0
        for (index, byte) in text.enumerated() {
            let known = index == 0 ? first[Int(byte)] : edges.next(node, byte)
            if known > 0 {
                node = known
            } else {
                let next = UInt32(nodes.count)
                if index == 0 { first[Int(byte)] = next } else { edges.insert(node, byte, next: next) }
                node = next
                nodes.append(Node())
            }
        }
        if nodes[Int(node)].id < 0 { nodes[Int(node)] = Node(id: id, options: options) }
        if options.isControl { hasControl = true }
    }

    /// The first added token in `text` (valid UTF-8) at or after byte `start`; the longest one if several start there.
    ///
    /// - Parameter controlRanges: the ranges in which control tokens are matched, ascending and disjoint. A token must
    ///   lie entirely in one of them. Other tokens are matched everywhere, since they are ordinary vocabulary.
    func firstMatch(
        in text: UnsafeBufferPointer<UInt8>, from start: Int, controlRanges: [Range<Int>]
    ) -> Match? {
        first.withUnsafeBufferPointer { first in
            var position = start
            while position < text.count {
                if first[Int(text[position])] > 0,
                    let (match, options) = longestMatch(in: text, at: position, controlRanges)
                {
                    if options.isSingleWord, !Self.isAlone(match.range, in: text) {
                        // It takes its text away from shorter tokens, as in Hugging Face `tokenizers`.
                        position = match.range.upperBound
                        continue
                    }
                    let left =
                        options.stripsLeft
                        ? WhiteSpace.start(of: text, to: match.range.lowerBound) : match.range.lowerBound
                    let right =
                        options.stripsRight
                        ? WhiteSpace.end(of: text, from: match.range.upperBound) : match.range.upperBound
                    return Match(id: match.id, range: max(left, start)..<right)
                }
                position += 1
            }
            return nil
        }
    }

    private func longestMatch(
        in text: UnsafeBufferPointer<UInt8>, at start: Int, _ controlRanges: [Range<Int>]
    ) -> (Match, AddedTokenOptions)? {
        var longest: (Match, AddedTokenOptions)?
        var node: UInt32 = 0
        var controlEnd: Int?
        for position in start..<text.count {
            let next = position == start ? first[Int(text[position])] : edges.next(node, text[position])
            if next == 0 { break }
            node = next
            let token = nodes[Int(node)]
            guard token.id >= 0 else { continue }
            if token.options.isControl {
                let limit = controlEnd ?? Self.end(of: controlRanges, around: start)
                controlEnd = limit
                if position >= limit { continue }
            }
            longest = (Match(id: token.id, range: start..<position + 1), token.options)
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

    // MARK: Words

    private static let wordCharacter = Pattern(CharacterClass.rustWords)

    /// Whether no word character is next to `range`.
    private static func isAlone(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        var before = range.lowerBound
        repeat { before -= 1 } while before > 0 && text[before] & 0xC0 == 0x80
        return !(before >= 0 && isWordCharacter(text, before))
            && !(range.upperBound < text.count && isWordCharacter(text, range.upperBound))
    }

    private static func isWordCharacter(_ text: UnsafeBufferPointer<UInt8>, _ position: Int) -> Bool {
        let length = UTF8Scalars.first(of: text, at: position).length
        let character = UnsafeBufferPointer(rebasing: text[position..<position + length])
        // One character cannot exceed a limit of the search.
        let match = try? PatternSearch().firstMatch(of: wordCharacter, in: character, from: 0)
        return match != nil
    }
}

/// The edges of a trie but those of its root: a hash table with open addressing.
private struct Edges: Sendable {
    /// `node << 8 | byte`, which is never 0 here, and the next node; 0 where there is none.
    private var slots: [(key: UInt64, next: UInt32)] = Array(repeating: (0, 0), count: 64)
    private var count = 0

    /// The node that `byte` leads to from `node`; 0 if there is none.
    func next(_ node: UInt32, _ byte: UInt8) -> UInt32 {
        slots.withUnsafeBufferPointer { slots in slots[Self.slot(of: UInt64(node) << 8 | UInt64(byte), slots)].next }
    }

    mutating func insert(_ node: UInt32, _ byte: UInt8, next: UInt32) {
        if 2 * count >= slots.count {
            let former = slots
            slots = Array(repeating: (0, 0), count: 2 * former.count)
            for edge in former where edge.key > 0 { put(edge) }
        }
        put((UInt64(node) << 8 | UInt64(byte), next))
        count += 1
    }

    private mutating func put(_ edge: (key: UInt64, next: UInt32)) {
        let slot = slots.withUnsafeBufferPointer { Self.slot(of: edge.key, $0) }
        slots[slot] = edge
    }

    private static func slot(of key: UInt64, _ slots: UnsafeBufferPointer<(key: UInt64, next: UInt32)>) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
        while slots[slot].key != key, slots[slot].key != 0 { slot = (slot + 1) & mask }
        return slot
    }
}
