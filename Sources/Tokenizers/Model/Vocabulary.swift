// The tokens of a model: their spellings and their kinds.

/// Many byte strings in one buffer.
struct ByteStrings: Sendable {
    /// All strings, concatenated.
    private(set) var bytes: [UInt8] = []
    /// The start of each string; one more entry than there are strings.
    private(set) var offsets: [UInt32] = [0]

    /// The number of strings.
    var count: Int { offsets.count - 1 }

    /// The range of string `index` in `bytes`.
    func range(of index: Int32) -> Range<Int> { Int(offsets[Int(index)])..<Int(offsets[Int(index) + 1]) }

    subscript(index: Int32) -> ArraySlice<UInt8> { bytes[range(of: index)] }

    /// Reserves memory for `count` strings of `bytes` in all.
    mutating func reserve(count: Int, bytes: Int) {
        offsets.reserveCapacity(count + 1)
        self.bytes.reserveCapacity(bytes)
    }

    /// Appends the string that `write` appends to the buffer. All strings together must be shorter than 4 GiB.
    mutating func append<Result>(_ write: (inout [UInt8]) -> Result) -> Result {
        let result = write(&bytes)
        offsets.append(UInt32(bytes.count))
        return result
    }

    mutating func append(_ string: some Collection<UInt8>) { append { $0.append(contentsOf: string) } }
}

/// A model's vocabulary.
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

    /// What each token is in a piece: bytes for a byte-level model, otherwise characters as in the file. For a token that
    /// is matched as text it is that text.
    let spellings: ByteStrings
    /// Each token's kind.
    let kinds: [Kind]
    /// Tokens of a byte-level model that cannot be spelt in its alphabet, and that therefore no text is merged to.
    let unspellable: Set<Int32>

    /// The number of tokens.
    var count: Int { kinds.count }

    /// - Parameters:
    ///   - spellings: each token as in the file.
    ///   - kinds: each token's kind; the same number as `spellings`.
    ///   - isInAlphabet: whether a token is spelt in GPT-2's alphabet.
    init(spellings: some Collection<[UInt8]>, kinds: [Kind], isInAlphabet: (Int) -> Bool) {
        precondition(spellings.count == kinds.count)
        var strings = ByteStrings()
        strings.reserve(count: kinds.count, bytes: spellings.reduce(0) { $0 + $1.count })
        var unspellable: Set<Int32> = []
        for (id, spelling) in spellings.enumerated() {
            guard isInAlphabet(id) else {
                strings.append(spelling)
                continue
            }
            let isSpelt = strings.append { bytes in
                spelling.withUnsafeBufferPointer { ByteLevel.appendBytes(of: $0, to: &bytes) }
            }
            if !isSpelt { unspellable.insert(Int32(id)) }
        }
        self.spellings = strings
        self.kinds = kinds
        self.unspellable = unspellable
    }

    /// The tokens that pieces may become, in the order of their ids.
    func mergeable(_ kinds: Set<Kind>) -> [Int32] {
        (0..<Int32(count)).filter { kinds.contains(self.kinds[Int($0)]) && !unspellable.contains($0) }
    }

    /// The text of token `id` as it stands in a template or a message.
    func text(of id: Int32) -> String { String(decoding: spellings[id], as: UTF8.self) }
}
