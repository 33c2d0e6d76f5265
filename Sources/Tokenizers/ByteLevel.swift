// GPT-2's byte-level alphabet: every byte is one printable character, so a vocabulary can spell any text.

/// GPT-2's mapping between bytes and characters (Radford et al. 2019), in which `Ġ` stands for a space.
enum ByteLevel {
    /// The byte of each character below U+0144; −1 if it has none.
    private static let byteOfCharacter: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        var next = 0x100
        for byte in 0..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                table[byte] = Int16(byte)
            default:
                table[next] = Int16(byte)
                next += 1
            }
        }
        return table
    }()

    /// Appends to `bytes` the bytes that `spelling` (UTF-8) encodes.
    ///
    /// A spelling with a character outside the alphabet is appended unchanged, as in Hugging Face's decoder.
    static func appendBytes(of spelling: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        let start = bytes.count
        var index = 0
        while index < spelling.count {
            var character = Int(spelling[index])
            index += 1
            if character >= 0x80 {
                guard character & 0xE0 == 0xC0, index < spelling.count else { break }
                character = (character & 0x1F) << 6 | Int(spelling[index] & 0x3F)
                index += 1
            }
            guard character < byteOfCharacter.count, byteOfCharacter[character] >= 0 else {
                index = 0
                break
            }
            bytes.append(UInt8(byteOfCharacter[character]))
        }
        if bytes.count == start || index < spelling.count {
            bytes.removeSubrange(start...)
            bytes.append(contentsOf: spelling)
        }
    }
}
