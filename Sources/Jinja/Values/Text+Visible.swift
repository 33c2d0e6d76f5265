// What of a marked text can be seen: trimming and indenting change white space, and nobody misses it.

extension Text {
    /// Characters other than white space, by the mark of the text that they are from; marks without any are left out.
    var visibleCharacters: [Int: Int] {
        var counts: [Int: Int] = [:]
        forEachPiece { piece, author in
            guard author.mark != 0 else { return }
            let count = piece.visibleCharacters
            if count > 0 { counts[author.mark, default: 0] += count }
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
    /// Characters other than white space that can be found in a rendering by their mark.
    public var visibleCharacters: [Int: Int] {
        var counts: [Int: Int] = [:]
        addVisibleCharacters(mark: 0, to: &counts)
        return counts
    }

    private func addVisibleCharacters(mark: Int, to counts: inout [Int: Int]) {
        func add(_ text: String, _ mark: Int) {
            guard mark != 0 else { return }
            let count = Substring(text).visibleCharacters
            if count > 0 { counts[mark, default: 0] += count }
        }
        switch self {
        case .null, .bool, .int, .float: break
        case .string(let text): add(text, mark)
        case .pieces(let pieces): for piece in pieces { add(piece.text, piece.mark) }
        case .marked(let value, let mark): value.addVisibleCharacters(mark: mark, to: &counts)
        case .array(let elements): for element in elements { element.addVisibleCharacters(mark: mark, to: &counts) }
        case .object(let members):
            for (key, value) in members {
                add(key, mark)
                value.addVisibleCharacters(mark: mark, to: &counts)
            }
        }
    }
}
