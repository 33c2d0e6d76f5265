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
    /// Maps `node << 8 | byte` to the next node.
    private var edges: [UInt64: UInt32] = [:]
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
            let edge = UInt64(node) << 8 | UInt64(byte)
            let known = index == 0 ? first[Int(byte)] : edges[edge, default: 0]
            if known > 0 {
                node = known
            } else {
                if index == 0 { first[Int(byte)] = UInt32(nodes.count) } else { edges[edge] = UInt32(nodes.count) }
                node = UInt32(nodes.count)
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
            let next =
                position == start
                ? first[Int(text[position])] : edges[UInt64(node) << 8 | UInt64(text[position]), default: 0]
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
