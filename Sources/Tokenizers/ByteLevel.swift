// The byte-level alphabet of GPT-2: every byte as one printable character, so that any text can be spelt in a vocabulary.

/// GPT-2's mapping between bytes and characters (Radford et al. 2019), in which `Ġ` stands for a space.
enum ByteLevel {
    /// The byte behind each character below U+0144, or −1 where the character stands for none.
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

    /// Appends the bytes that `spelling` (UTF-8) stands for to `bytes`.
    ///
    /// A spelling with a character outside the alphabet stands for itself, as in Hugging Face's decoder.
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
