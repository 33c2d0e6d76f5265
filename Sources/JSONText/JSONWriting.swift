// Writes JSON directly as bytes. Only the characters that RFC 8259 requires are escaped: quote, backslash and control
// characters. All others, including U+2028 and U+2029, are written as UTF-8.

extension [UInt8] {
    /// Appends text that is JSON already.
    package mutating func append(json text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inlinable
    package mutating func append(integer value: some BinaryInteger) {
        if let value = Int64(exactly: value) { append(digitsOf: value) } else { append(contentsOf: String(value).utf8) }
    }

    /// Not with `String`, which would take a fifth of an export's time.
    @usableFromInline
    package mutating func append(digitsOf value: Int64) {
        var rest = value.magnitude
        if value < 0 { append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var place = digits.count
            repeat {
                place -= 1
                digits[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            append(contentsOf: UnsafeBufferPointer(rebasing: digits[place...]))
        }
    }

    /// Appends the shortest text that reads back as the same number. It always has a fraction or an exponent.
    package mutating func append(double value: Double) {
        precondition(value.isFinite, "JSON has no infinities or NaN")
        append(contentsOf: value.description.utf8)
    }

    package mutating func append(string value: String) {
        var value = value
        value.withUTF8 { append(stringUTF8: $0) }
    }

    /// Appends valid UTF-8 as a JSON string, quotes included.
    package mutating func append(stringUTF8 bytes: UnsafeBufferPointer<UInt8>) {
        append(UInt8(ascii: "\""))
        var start = 0
        var position = 0
        while true {
            position = bytes.firstEscape(from: position)
            append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<position]))
            if position == bytes.count { break }
            append(escapeOf: bytes[position])
            position += 1
            start = position
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func append(escapeOf byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append(json: "\\\"")
        case UInt8(ascii: "\\"): append(json: "\\\\")
        case UInt8(ascii: "\n"): append(json: "\\n")
        case UInt8(ascii: "\r"): append(json: "\\r")
        case UInt8(ascii: "\t"): append(json: "\\t")
        case 0x08: append(json: "\\b")
        case 0x0C: append(json: "\\f")
        default:
            let digits: StaticString = "0123456789abcdef"
            append(json: "\\u00")
            append(digits.utf8Start[Int(byte >> 4)])
            append(digits.utf8Start[Int(byte & 15)])
        }
    }

    /// Appends `[a,b,…]`; `encode` writes each element.
    package mutating func appendArray<Item>(_ elements: some Sequence<Item>, _ encode: (Item, inout [UInt8]) -> Void) {
        append(UInt8(ascii: "["))
        var isFirst = true
        for element in elements {
            if !isFirst { append(UInt8(ascii: ",")) }
            isFirst = false
            encode(element, &self)
        }
        append(UInt8(ascii: "]"))
    }

    /// Appends a node of a document as canonical JSON: same order, no spaces, minimal escapes.
    package mutating func append(_ node: JSONNode) {
        switch node.kind {
        case .null: append(json: "null")
        case .bool: append(json: node.bool ? "true" : "false")
        case .int: append(integer: node.int)
        case .unsigned: append(integer: node.unsigned)
        case .double: append(double: node.double)
        case .string: append(stringUTF8: node.utf8)
        case .array: appendArray(node.elements) { $1.append($0) }
        case .object: append(object: node, without: nil)
        }
    }

    /// Appends an object node without the member named `excluded`.
    package mutating func append(object node: JSONNode, without excluded: StaticString?) {
        append(UInt8(ascii: "{"))
        var isFirst = true
        for (key, value) in node.members {
            if let excluded, key.isString(excluded) { continue }
            if !isFirst { append(UInt8(ascii: ",")) }
            isFirst = false
            append(stringUTF8: key.utf8)
            append(UInt8(ascii: ":"))
            append(value)
        }
        append(UInt8(ascii: "}"))
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The first position at or after `start` of a byte that must be escaped in a JSON string; `count` if there is
    /// none.
    fileprivate func firstEscape(from start: Int) -> Int {
        var position = start
        // Eight bytes at a time: the high bit of a lane is set if the byte is below 0x20, a quote or a backslash. A
        // borrow can set a wrong bit above a correct one, but not below it, so the lowest bit is exact.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while position + 8 <= count {
            let word = UInt64(littleEndian: UnsafeRawPointer(baseAddress! + position).loadUnaligned(as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let control = (word &- ones &* 0x20) & ~word
            let marks = (control | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & highs
            if marks != 0 { return position + marks.trailingZeroBitCount / 8 }
            position += 8
        }
        while position < count {
            let byte = self[position]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return position }
            position += 1
        }
        return count
    }
}
