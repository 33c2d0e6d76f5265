// A vocabulary small enough to reason about: the 256 bytes, a few merges, and special tokens.

import TestSupport

@testable import ModelFiles
@testable import Tokenizers

enum TinyVocabulary {
    /// Ids 0…255 are the bytes themselves; the merged tokens follow in this order, then the special ones.
    static let merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "a a", "aa aa", "< |"]
    /// Special tokens and their types.
    static let specials: [(text: String, type: Int64)] = [
        ("<|start|>", 3), ("<|end|>", 3), ("<|end|>ing", 3), ("<tool>", 4), ("<|eot_id|>", 3), ("<unk>", 2),
        ("[unused1]", 5),
    ]
    static let firstSpecial = Int32(256 + merges.count)

    /// The id of a special token.
    static func id(_ special: String) -> Int32 {
        firstSpecial + Int32(specials.firstIndex { $0.text == special }!)
    }

    /// The metadata of such a model.
    static func metadata(_ changes: [String: MetadataValue?] = [:]) -> GGUFMetadata {
        let tokens = alphabet + merges.map { $0.replacing(" ", with: "") } + specials.map(\.text)
        let types = [Int64](repeating: 1, count: Int(firstSpecial)) + specials.map(\.type)
        var values: [String: MetadataValue] = [
            "tokenizer.ggml.model": string("gpt2"), "tokenizer.ggml.pre": string("gpt-2"),
            "tokenizer.ggml.tokens": .strings(tokens.map { Array($0.utf8) }),
            "tokenizer.ggml.token_type": .integers(types),
            "tokenizer.ggml.merges": .strings(merges.map { Array($0.utf8) }),
            "tokenizer.ggml.bos_token_id": .integer(Int64(id("<|start|>"))),
            "tokenizer.ggml.eos_token_id": .integer(Int64(id("<|end|>"))),
        ]
        for (key, value) in changes { values[key] = value }
        return GGUFMetadata(path: "tiny.gguf", values: values)
    }

    static func tokenizer(_ changes: [String: MetadataValue?] = [:]) throws -> Tokenizer {
        try Tokenizer(metadata(changes))
    }

    static func string(_ text: String) -> MetadataValue { .string(Array(text.utf8)) }

    /// GPT-2's character for each byte.
    static let alphabet: [String] = {
        var next: UInt32 = 0x100
        return (0..<256).map { (byte: UInt32) in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return String(Unicode.Scalar(byte)!)
            default:
                defer { next += 1 }
                return String(Unicode.Scalar(next)!)
            }
        }
    }()
}

// Texts made of random numbers.
extension SplitMix64 {
    /// A string of random code points, from ASCII to the astral planes.
    mutating func text(length: Int) -> String {
        var scalars = String.UnicodeScalarView()
        while scalars.count < length {
            let limit: UInt32 = [0x80, 0x250, 0x3100, 0x110000].randomElement(using: &self)!
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &self)) { scalars.append(scalar) }
        }
        return String(scalars)
    }

    /// Random bytes, as a string with U+FFFD for what is no UTF-8.
    mutating func brokenText(length: Int) -> String {
        String(decoding: (0..<length).map { _ in UInt8.random(in: 0...255, using: &self) }, as: UTF8.self)
    }
}
