// The tokens of a model: their bytes and their kinds.

/// A model's vocabulary in one flat buffer.
struct Vocabulary: Sendable {
    /// The kind of a token; the values are those of GGUF's `tokenizer.ggml.token_type`.
    enum Kind: UInt8, Sendable {
        case normal = 1
        case unknown = 2
        case control = 3
        case userDefined = 4
        case unused = 5
        case byte = 6

        /// Whether the token has no text of its own: it is left out of output and never made from ordinary text.
        var isControl: Bool { self == .control || self == .unknown }
    }

    /// The bytes of all tokens, concatenated.
    let bytes: [UInt8]
    /// The start of each token's bytes; one more entry than there are tokens.
    let offsets: [UInt32]
    /// Each token's kind.
    let kinds: [Kind]

    /// The number of tokens.
    var count: Int { kinds.count }

    /// - Parameters:
    ///   - spellings: each token as in the file: in the byte-level alphabet, or as plain text for special tokens.
    ///   - kinds: each token's kind; the same number as `spellings`.
    init(spellings: [[UInt8]], kinds: [Kind]) {
        precondition(spellings.count == kinds.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(spellings.reduce(0) { $0 + $1.count })
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(spellings.count + 1)
        for (spelling, kind) in zip(spellings, kinds) {
            switch kind {
            case .normal, .unused, .byte: spelling.withUnsafeBufferPointer { ByteLevel.appendBytes(of: $0, to: &bytes) }
            case .control, .unknown, .userDefined: bytes.append(contentsOf: spelling)
            }
            offsets.append(UInt32(bytes.count))
        }
        self.bytes = bytes
        self.offsets = offsets
        self.kinds = kinds
    }

    /// The range of token `id` in `bytes`.
    func range(of id: Int32) -> Range<Int> {
        Int(offsets[Int(id)])..<Int(offsets[Int(id) + 1])
    }
}
