// Python indexes strings by code point. This maps code point positions to UTF-8 offsets.

extension Text {
    var isASCII: Bool { withUTF8 { bytes in bytes.allSatisfy { $0 < 0x80 } } }

    /// Python's `len`.
    var count: Int {
        withUTF8 { bytes in bytes.reduce(into: 0) { count, byte in if byte & 0xC0 != 0x80 { count += 1 } } }
    }

    /// UTF-8 offsets of every code point, and of the end.
    var offsets: [Int] {
        withUTF8 { bytes in
            var result: [Int] = []
            result.reserveCapacity(bytes.count + 1)
            for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 { result.append(offset) }
            result.append(bytes.count)
            return result
        }
    }

    /// Each code point as a text of its own.
    var characters: [Text] {
        let offsets = offsets
        return (0..<offsets.count - 1).map { slice(offsets[$0]..<offsets[$0 + 1]) }
    }

    /// The UTF-8 offset of the code point at `index`, which must be at most `count`.
    func offset(ofCodePoint index: Int) -> Int {
        withUTF8 { bytes in
            var remaining = index
            for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
                if remaining == 0 { return offset }
                remaining -= 1
            }
            return bytes.count
        }
    }

    /// The number of code points before a UTF-8 offset.
    func codePoints(before offset: Int) -> Int {
        withUTF8 { bytes in
            bytes[..<offset].reduce(into: 0) { count, byte in if byte & 0xC0 != 0x80 { count += 1 } }
        }
    }
}

extension Unicode.Scalar {
    /// Python's `str.isspace` for one code point: Unicode white space and the four ASCII separators.
    var isPythonSpace: Bool {
        if value < 0x80 { return value == 0x20 || (0x09...0x0D).contains(value) || (0x1C...0x1F).contains(value) }
        return properties.isWhitespace
    }

    /// Python's `str.isprintable` for one code point.
    var isPythonPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}
