// The visible characters of marked texts: trimming and indenting change white space, which does not count.

/// A number per mark.
public struct MarkCounts: Sendable, Equatable {
    /// Indexed by mark; marks beyond the end have 0.
    private var counts: [Int] = []

    init() {}

    /// The number of a mark; 0 if nothing was counted for it.
    public internal(set) subscript(mark: Int) -> Int {
        get { mark < counts.count ? counts[mark] : 0 }
        set {
            if mark >= counts.count { counts += Array(repeating: 0, count: mark + 1 - counts.count) }
            counts[mark] = newValue
        }
    }

    /// Adds the numbers of `other`, multiplied by `factor`.
    mutating func add(_ other: MarkCounts, times factor: Int = 1) {
        for (mark, count) in other.counts.enumerated() where count != 0 { self[mark] += factor * count }
    }
}

extension Text {
    /// Characters other than white space, by the mark of the text from which they come.
    var visibleCharacters: MarkCounts {
        var counts = MarkCounts()
        forEachPiece { piece, author in
            if author.mark != 0 { counts[author.mark] += piece.visibleCharacters }
        }
        return counts
    }
}

extension Substring {
    fileprivate var visibleCharacters: Int {
        let ofASCII = utf8.withContiguousStorageIfAvailable { bytes -> Int? in
            var count = 0
            for byte in bytes {
                if byte >= 0x80 { return nil }
                if byte > 0x20 || byte < 0x1C && !(0x09...0x0D).contains(byte) { count += 1 }
            }
            return count
        }
        if case .some(.some(let count)) = ofASCII { return count }
        return unicodeScalars.reduce(into: 0) { count, scalar in if !scalar.isPythonSpace { count += 1 } }
    }
}

extension JinjaValue {
    /// The number of characters other than white space in all strings and keys of the value. A rendering should contain
    /// that many with its mark.
    public var visibleCharacters: Int {
        switch self {
        case .null, .bool, .int, .float: 0
        case .string(let text): Substring(text).visibleCharacters
        case .pieces(let pieces): pieces.reduce(0) { $0 + Substring($1.text).visibleCharacters }
        case .marked(let value, _): value.visibleCharacters
        case .array(let elements): elements.reduce(0) { $0 + $1.visibleCharacters }
        case .object(let members):
            members.reduce(0) { $0 + Substring($1.key).visibleCharacters + $1.value.visibleCharacters }
        }
    }
}
