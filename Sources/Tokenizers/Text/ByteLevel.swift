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

    /// The character of each byte, in UTF-8.
    private static let characterOfByte: [[UInt8]] = {
        var table = [[UInt8]](repeating: [], count: 256)
        for (character, byte) in byteOfCharacter.enumerated() where byte >= 0 {
            table[Int(byte)] = Array(String(Unicode.Scalar(UInt32(character))!).utf8)
        }
        return table
    }()

    /// `bytes` in the alphabet.
    static func spelling(of bytes: some Collection<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        for byte in bytes { result += characterOfByte[Int(byte)] }
        return result
    }

    /// Appends to `bytes` the bytes that `spelling` (UTF-8) encodes. Returns whether all of it is in the alphabet.
    ///
    /// A spelling with a character outside the alphabet is appended unchanged, as in Hugging Face's decoder. No text is
    /// ever merged to such a token, since texts are spelt in the alphabet: its bytes may be those of another token.
    @discardableResult
    static func appendBytes(of spelling: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) -> Bool {
        let start = bytes.count
        var index = 0
        while index < spelling.count {
            var character = Int(spelling[index])
            index += 1
            if character & 0xE0 == 0xC0, index < spelling.count {
                character = (character & 0x1F) << 6 | Int(spelling[index] & 0x3F)
                index += 1
            } else if character >= 0x80 {
                character = byteOfCharacter.count
            }
            guard character < byteOfCharacter.count, byteOfCharacter[character] >= 0 else {
                bytes.removeSubrange(start...)
                bytes.append(contentsOf: spelling)
                return false
            }
            bytes.append(UInt8(byteOfCharacter[character]))
        }
        return true
    }
}
