// Finding, trimming, splitting and replacing. All of them slice, so they keep origins.

extension Text {
    /// The UTF-8 offset of the first occurrence of `needle`.
    func firstOffset(of needle: Text) -> Int? {
        needle.isEmpty ? 0 : offsets(of: needle, limit: 1).first
    }

    /// Offsets of the non-overlapping occurrences of `needle`, at most `limit`; `needle` must not be empty.
    func offsets(of needle: Text, limit: Int = .max) -> [Int] {
        if needle.utf8Count > utf8Count { return [] }
        let search = ByteSearch(needle.string.utf8)
        return withUTF8 { search.offsets(in: $0, limit: limit) }
    }

    /// Offsets of non-overlapping occurrences from the right, at most `limit`, in ascending order.
    func offsetsFromRight(of needle: Text, limit: Int = .max) -> [Int] {
        if needle.utf8Count > utf8Count { return [] }
        let search = ByteSearch(needle.string.utf8.reversed())
        let hits = withUTF8 { search.offsets(in: $0.reversed(), limit: limit) }
        return hits.reversed().map { utf8Count - $0 - needle.utf8Count }
    }

    func hasPrefix(_ prefix: Text) -> Bool {
        withUTF8 { bytes in prefix.withUTF8 { bytes.starts(with: $0) } }
    }

    func hasSuffix(_ suffix: Text) -> Bool {
        withUTF8 { bytes in
            suffix.withUTF8 { bytes.count >= $0.count && bytes[(bytes.count - $0.count)...].elementsEqual($0) }
        }
    }

    /// Python's `strip` family: drops leading and trailing code points that satisfy `drop`.
    func trimmed(leading: Bool = true, trailing: Bool = true, _ drop: (Unicode.Scalar) -> Bool) -> Text {
        let scalars = string.unicodeScalars
        var start = scalars.startIndex
        var end = scalars.endIndex
        if leading { while start < end, drop(scalars[start]) { start = scalars.index(after: start) } }
        if trailing {
            while start < end {
                let before = scalars.index(before: end)
                guard drop(scalars[before]) else { break }
                end = before
            }
        }
        let utf8 = string.utf8
        return slice(utf8.distance(from: utf8.startIndex, to: start)..<utf8.distance(from: utf8.startIndex, to: end))
    }

    func trimmed(leading: Bool = true, trailing: Bool = true) -> Text {
        trimmed(leading: leading, trailing: trailing) { $0.isPythonSpace }
    }

    /// The pieces between separators of `width` bytes at `offsets`.
    func split(at offsets: [Int], width: Int) -> [Text] {
        var result: [Text] = []
        result.reserveCapacity(offsets.count + 1)
        var start = 0
        for offset in offsets {
            result.append(slice(start..<offset))
            start = offset + width
        }
        result.append(slice(start..<utf8Count))
        return result
    }

    /// Python's `str.split()` without a separator: splits at runs of white space and trims the ends.
    func splitOnSpace(limit: Int = .max) -> [Text] {
        var result: [Text] = []
        var wordStart: Int?
        var offset = 0
        for scalar in string.unicodeScalars {
            let width = UTF8.width(scalar)
            if !scalar.isPythonSpace {
                if wordStart == nil, result.count == limit {
                    result.append(slice(offset..<utf8Count).trimmed(leading: false))
                    return result
                }
                wordStart = wordStart ?? offset
            } else if let start = wordStart {
                result.append(slice(start..<offset))
                wordStart = nil
            }
            offset += width
        }
        if let start = wordStart { result.append(slice(start..<offset)) }
        return result
    }

    /// Python's `str.splitlines`.
    func splitLines(keepEnds: Bool = false) -> [Text] {
        var result: [Text] = []
        var start = 0
        var offset = 0
        var afterReturn = false
        for scalar in string.unicodeScalars {
            let width = UTF8.width(scalar)
            if afterReturn, scalar == "\n" {
                if keepEnds { result[result.count - 1].append(slice(offset..<offset + 1)) }
                start = offset + width
            } else if scalar.isPythonLineBreak {
                result.append(slice(start..<(keepEnds ? offset + width : offset)))
                start = offset + width
            }
            afterReturn = scalar == "\r"
            offset += width
        }
        if start < utf8Count { result.append(slice(start..<utf8Count)) }
        return result
    }

    /// Replaces occurrences of `old`, at most `limit`, by `new`; an empty `old` matches between code points.
    func replacing(_ old: Text, with new: Text, limit: Int = .max) -> Text {
        let hits = old.isEmpty ? Array(offsets.prefix(limit)) : offsets(of: old, limit: limit)
        if hits.isEmpty { return self }
        var result = Text()
        for (index, piece) in split(at: hits, width: old.utf8Count).enumerated() {
            if index > 0 { result.append(new) }
            result.append(piece)
        }
        return result
    }

    /// Joins `pieces` with this text between them.
    func joining(_ pieces: [Text]) -> Text {
        var result = Text()
        for (index, piece) in pieces.enumerated() {
            if index > 0 { result.append(self) }
            result.append(piece)
        }
        return result
    }
}

extension UTF8 {
    static func width(_ scalar: Unicode.Scalar) -> Int {
        scalar.value < 0x80 ? 1 : scalar.value < 0x800 ? 2 : scalar.value < 0x10000 ? 3 : 4
    }
}

extension Unicode.Scalar {
    /// The line boundaries of `str.splitlines`.
    var isPythonLineBreak: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
