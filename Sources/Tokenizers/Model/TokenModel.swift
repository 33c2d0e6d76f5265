// The model of a tokenizer: what makes tokens of a piece.

/// A tokenizer's model, as a value.
enum TokenModel: Sendable {
    case bytePairs(BytePairModel)
    case words(WordModel)

    /// The maximum of tokens that a byte of a piece becomes.
    var mostTokensOfByte: Int {
        guard case .bytePairs(let model) = self, case .characters(let characters) = model.symbols else { return 1 }
        // Tokens of bytes may spell the prefix and the suffix, too.
        return 1 + characters.prefix.count + characters.suffix.count
    }

    /// A session that encodes pieces. It has scratch memory, so each thread needs its own.
    func makeEncoder() -> PieceEncoder { PieceEncoder(self) }
}

/// Encodes pieces with a model.
struct PieceEncoder {
    private let model: TokenModel
    private var merger: BytePairMerger?

    fileprivate init(_ model: TokenModel) {
        self.model = model
        if case .bytePairs(let model) = model { merger = BytePairMerger(merges: model.merges, symbols: model.symbols) }
    }

    /// Appends the tokens of `piece`, which is not empty, to `ids`.
    mutating func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        switch model {
        case .bytePairs(let model): model.encode(piece, &merger!, into: &ids)
        case .words(let model): model.encode(piece, into: &ids)
        }
    }
}

/// A model whose tokens are whole pieces.
struct WordModel: Sendable {
    let index: TokenIndex
    /// The token of every other piece; nil if they are left out.
    let unknown: Int32?

    fileprivate func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        let id = index.id(of: piece)
        if id >= 0 { ids.append(id) } else if let unknown { ids.append(unknown) }
    }
}

/// A byte-pair encoding: of bytes, or of characters.
struct BytePairModel: Sendable {
    let merges: MergeTable
    let symbols: Symbols
    /// Pieces that are one token. Most pieces are, and need no merging.
    private let wholePieces: TokenIndex
    /// Parts of pieces that are one token; nil if pieces are not cut.
    private let wholeParts: TokenIndex?
    private let joints: Joints?
    /// The characters of symbols that are no tokens: symbol n of them has the id `vocabularySize + n`.
    private let characters: [UInt32]
    private let vocabularySize: Int32

    /// - Parameters:
    ///   - vocabulary: the tokens.
    ///   - merges: the merges, of which none may result in a token that is not in `mergeable`.
    ///   - mergeable: the tokens that pieces may become.
    ///   - takesWholeTokens: whether a piece that is one token as a whole is not merged (`ignore_merges`).
    ///   - characters: those of symbols beyond the vocabulary.
    init(
        _ vocabulary: Vocabulary, merges: MergeTable, symbols: Symbols, mergeable: [Int32], takesWholeTokens: Bool,
        characters: [UInt32] = []
    ) {
        self.merges = merges
        self.symbols = symbols
        self.characters = characters
        vocabularySize = Int32(vocabulary.count)
        let joints = Joints(vocabulary, mergeable, symbols)
        let selfEncoding = {
            let ids = Self.selfEncoding(mergeable, vocabulary, BytePairMerger(merges: merges, symbols: symbols))
            return TokenIndex(vocabulary.spellings, ids: ids)
        }
        if takesWholeTokens {
            wholePieces = TokenIndex(vocabulary.spellings, ids: mergeable)
            wholeParts = joints == nil ? nil : selfEncoding()
        } else {
            wholePieces = selfEncoding()
            wholeParts = joints == nil ? nil : wholePieces
        }
        self.joints = joints
    }

    /// The tokens for which the encoding of their spelling gives the token itself.
    private static func selfEncoding(
        _ ids: [Int32], _ vocabulary: Vocabulary, _ merger: consuming BytePairMerger
    ) -> [Int32] {
        var encoded: [Int32] = []
        return vocabulary.spellings.bytes.withUnsafeBufferPointer { bytes in
            ids.filter { id in
                let range = vocabulary.spellings.range(of: id)
                if range.isEmpty { return false }
                encoded.removeAll(keepingCapacity: true)
                merger.encode(UnsafeBufferPointer(rebasing: bytes[range]), into: &encoded)
                return encoded.count == 1 && encoded[0] == id
            }
        }
    }

    fileprivate func encode(
        _ piece: UnsafeBufferPointer<UInt8>, _ merger: inout BytePairMerger, into ids: inout [Int32]
    ) {
        let id = wholePieces.id(of: piece)
        if id >= 0 { return ids.append(id) }
        let first = ids.count
        if let joints, let wholeParts {
            joints.forEachPart(of: piece) { part in
                let id = wholeParts.id(of: part)
                if id >= 0 { ids.append(id) } else { merger.encode(part, into: &ids) }
            }
        } else {
            merger.encode(piece, into: &ids)
        }
        if !characters.isEmpty { substituteCharacters(in: &ids, from: first) }
    }

    /// Puts tokens of bytes, or the unknown token, in the place of symbols that are no tokens.
    private func substituteCharacters(in ids: inout [Int32], from first: Int) {
        guard case .characters(let symbols) = symbols, ids[first...].contains(where: { $0 >= vocabularySize }) else {
            return
        }
        let found = ids[first...]
        var result: [Int32] = []
        for id in found {
            guard id >= vocabularySize else {
                result.append(id)
                continue
            }
            let scalar = Unicode.Scalar(characters[Int(id - vocabularySize)]) ?? "\u{FFFD}"
            let bytes = String(scalar).utf8.map { symbols.byteTokens[Int($0)] }
            if bytes.allSatisfy({ $0 >= 0 }) {
                result += bytes
            } else if case .token(let unknown, let isFused) = symbols.unknown, !(isFused && result.last == unknown) {
                result.append(unknown)
            }
        }
        ids.replaceSubrange(first..., with: result)
    }
}

/// Where tokens of a vocabulary can join: the pairs of bytes, the last of one character and the first of the next, that
/// stand next to each other within some token.
///
/// No merge ever crosses another place, so a long piece is cut there and its parts are encoded one by one, with the same
/// result. In a text without pre-tokeniser these are mostly the ends of words.
private struct Joints: Sendable {
    /// A bit for each pair of bytes.
    private var bits: [UInt64]

    /// Nil for models whose parts are not independent of each other: characters are left out between others, runs of
    /// unknown ones become one token, or the ends of a piece are spelt in their own way.
    init?(_ vocabulary: Vocabulary, _ ids: [Int32], _ symbols: Symbols) {
        guard case .characters(let characters) = symbols, characters.prefix.isEmpty, characters.suffix.isEmpty else {
            return nil
        }
        switch characters.unknown {
        case .dropped, .token(_, isFused: true): if !characters.spellsEverything { return nil }
        case .token(_, isFused: false): break
        }
        bits = [UInt64](repeating: 0, count: 1024)
        for id in ids {
            let range = vocabulary.spellings.range(of: id)
            for position in range.dropFirst() where vocabulary.spellings.bytes[position] & 0xC0 != 0x80 {
                let pair = Self.pair(vocabulary.spellings.bytes[position - 1], vocabulary.spellings.bytes[position])
                bits[pair >> 6] |= 1 << UInt64(pair & 63)
            }
        }
    }

    private static func pair(_ left: UInt8, _ right: UInt8) -> Int { Int(left) << 8 | Int(right) }

    func forEachPart(of piece: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        var start = 0
        bits.withUnsafeBufferPointer { bits in
            for position in piece.indices.dropFirst() where piece[position] & 0xC0 != 0x80 {
                let pair = Self.pair(piece[position - 1], piece[position])
                if bits[pair >> 6] >> UInt64(pair & 63) & 1 == 0 {
                    body(UnsafeBufferPointer(rebasing: piece[start..<position]))
                    start = position
                }
            }
        }
        body(UnsafeBufferPointer(rebasing: piece[start...]))
    }
}
