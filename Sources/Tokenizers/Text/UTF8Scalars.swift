// Reading UTF-8 text in memory, character by character.

/// The characters of UTF-8 text in memory.
enum UTF8Scalars {
    /// Calls `body` with the value and the byte range of each character of `text` (valid UTF-8).
    static func forEach(in text: UnsafeBufferPointer<UInt8>, _ body: (UInt32, Range<Int>) -> Void) {
        var position = 0
        while position < text.count {
            let (scalar, length) = first(of: text, at: position)
            body(scalar, position..<position + length)
            position += length
        }
    }

    /// The value and the length of the character at `position`, or a byte's value and 1 where the text is not UTF-8.
    @inline(__always)
    static func first(of text: UnsafeBufferPointer<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
        let lead = text[position]
        let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        if length == 1 || position + length > text.count { return (UInt32(lead), 1) }
        var value = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(text[position + offset] & 0x3F) }
        return (value, length)
    }
}

/// White space at the ends of UTF-8 text.
enum WhiteSpace {
    /// The end of the white space that begins at `start`.
    static func end(of text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var position = start
        while position < text.count {
            let (value, length) = UTF8Scalars.first(of: text, at: position)
            guard Unicode.Scalar(value)?.properties.isWhitespace == true else { break }
            position += length
        }
        return position
    }

    /// The start of the white space that ends at `end`.
    static func start(of text: UnsafeBufferPointer<UInt8>, to end: Int) -> Int {
        var position = end
        while position > 0 {
            var start = position - 1
            while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
            guard Unicode.Scalar(UTF8Scalars.first(of: text, at: start).value)?.properties.isWhitespace == true else {
                break
            }
            position = start
        }
        return position
    }
}
