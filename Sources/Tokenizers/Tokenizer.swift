// A model's tokenizer: text to token ids and back. `Tokenizer+GGUF.swift` makes one from a model file.

public import Jinja

/// The handling of text that spells a control token, such as `<|im_end|>`.
public enum SpecialTokenHandling: Sendable {
    /// It becomes that token.
    case parsed
    /// It is ordinary text and never becomes a control token. (User-defined tokens are still matched, as in Hugging
    /// Face and llama.cpp: they are vocabulary.)
    case text
}

/// A byte-level BPE tokenizer. It is immutable, so several threads may use it at once.
///
/// Token ids equal those of Hugging Face `tokenizers`. A byte that the vocabulary cannot spell (see
/// ``unencodableBytes``) is left out, as there.
public final class Tokenizer: Sendable {
    /// The number of token ids; valid ids are `0..<vocabularySize`.
    public let vocabularySize: Int
    /// The model's marked ids: BOS, EOS and others.
    public let markers: MarkerTokens
    /// Tokens that end the generation: EOS, end of turn, end of message.
    public let endOfGenerationTokens: Set<Int32>
    /// Bytes that no token can spell; they are lost in encoding. They are rare in UTF-8 text.
    public let unencodableBytes: [UInt8]

    let path: String
    let vocabulary: Vocabulary
    private let specialTokens: SpecialTokens
    private let preTokenizer: PreTokenizer
    private let composes: Bool
    private let merges: MergeTable
    private let byteTokens: [Int32]
    /// Pieces that are one token. Most pieces are, and need no merging.
    private let wholePieces: TokenIndex

    init(
        path: String, vocabulary: Vocabulary, merges: MergeTable, index: TokenIndex, mergeable: [Int32],
        rules: PreTokenizerRules, markers: MarkerTokens
    ) {
        self.path = path
        self.vocabulary = vocabulary
        self.merges = merges
        self.markers = markers
        vocabularySize = vocabulary.count
        specialTokens = SpecialTokens(vocabulary)
        preTokenizer = PreTokenizer(rules)
        composes = rules.composes
        let byteTokens = (0...255).map { byte in
            withUnsafeBytes(of: UInt8(byte)) { index.id(of: $0.bindMemory(to: UInt8.self)) }
        }
        self.byteTokens = byteTokens
        unencodableBytes = (0...255).filter { byteTokens[Int($0)] < 0 }
        endOfGenerationTokens = markers.endOfGeneration(vocabulary)
        let whole =
            rules.takesWholeTokens
            ? mergeable
            : Self.selfEncoding(mergeable, vocabulary, BytePairMerger(merges: merges, byteTokens: byteTokens))
        wholePieces = TokenIndex(vocabulary, ids: whole)
    }

    /// The tokens for which BPE of their bytes gives the token itself.
    private static func selfEncoding(
        _ ids: [Int32], _ vocabulary: Vocabulary, _ merger: consuming BytePairMerger
    ) -> [Int32] {
        var encoded: [Int32] = []
        return vocabulary.bytes.withUnsafeBufferPointer { bytes in
            ids.filter { id in
                encoded.removeAll(keepingCapacity: true)
                merger.encode(UnsafeBufferPointer(rebasing: bytes[vocabulary.range(of: id)]), into: &encoded)
                return encoded.count == 1 && encoded[0] == id
            }
        }
    }

    // MARK: Encoding

    /// The token ids of `text`, without tokens before or after it.
    ///
    /// - Throws: `TokenizerError.patternFailed` for a text that takes too long to split into pieces.
    public func encode(_ text: String, specials: SpecialTokenHandling) throws(TokenizerError) -> [Int32] {
        try Array(text.utf8).withUnsafeBufferPointer { bytes throws(TokenizerError) in
            switch specials {
            case .parsed: try encode(bytes, controlRanges: [0..<bytes.count])
            case .text: try encode(bytes, controlRanges: [])
            }
        }
    }

    /// The token ids of a plain prompt. Control tokens are parsed. BOS and EOS are added if the model wants them and
    /// the prompt does not have them.
    ///
    /// - Throws: `TokenizerError.patternFailed` for a text that takes too long to split into pieces.
    public func encode(prompt: String) throws(TokenizerError) -> [Int32] {
        var ids = try encode(prompt, specials: .parsed)
        if markers.addsBOS, let bos = markers.bos, ids.first != bos { ids.insert(bos, at: 0) }
        if markers.addsEOS, let eos = markers.eos, ids.last != eos { ids.append(eos) }
        return ids
    }

    /// The token ids of a rendered chat prompt. Nothing is added, since templates write BOS themselves.
    ///
    /// The text is tokenised as a whole, but a control token is matched only if all of it is from the template. User
    /// text can become neither a control token nor a part of one.
    ///
    /// - Throws: `TokenizerError.patternFailed` for a text that takes too long to split into pieces.
    public func encode(_ segments: [Segment]) throws(TokenizerError) -> [Int32] {
        var text: [UInt8] = []
        var controlRanges: [Range<Int>] = []
        for segment in segments {
            let start = text.count
            text.append(contentsOf: segment.text.utf8)
            guard segment.origin == .template, text.count > start else { continue }
            if let last = controlRanges.last, last.upperBound == start {
                controlRanges[controlRanges.count - 1] = last.lowerBound..<text.count
            } else {
                controlRanges.append(start..<text.count)
            }
        }
        return try text.withUnsafeBufferPointer { text throws(TokenizerError) in
            try encode(text, controlRanges: controlRanges)
        }
    }

    /// The maximum number of tokens of a text of `count` bytes, including those added before and after it.
    public func mostTokens(ofBytes count: Int) -> Int {
        // NFC lengthens some characters, but none to more than three times its bytes.
        (composes ? 3 * count : count) + 2
    }

    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, controlRanges: [Range<Int>]
    ) throws(TokenizerError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(text.count / 4 + 8)
        var merger = BytePairMerger(merges: merges, byteTokens: byteTokens)
        let search = PatternSearch()
        var end = 0
        while end < text.count {
            let match = specialTokens.firstMatch(in: text, from: end, controlRanges: controlRanges)
            let plain = UnsafeBufferPointer(rebasing: text[end..<(match?.range.lowerBound ?? text.count)])
            try encodePlain(plain, search, &merger, into: &ids)
            if let match { ids.append(match.id) }
            end = match?.range.upperBound ?? text.count
        }
        return ids
    }

    /// Encodes the text between special tokens.
    private func encodePlain(
        _ text: UnsafeBufferPointer<UInt8>, _ search: borrowing PatternSearch, _ merger: inout BytePairMerger,
        into ids: inout [Int32]
    ) throws(TokenizerError) {
        if text.isEmpty { return }
        if composes, let composed = UnicodeComposition.composed(text) {
            try composed.withUnsafeBufferPointer { composed throws(TokenizerError) in
                try encodePieces(composed, search, &merger, into: &ids)
            }
        } else {
            try encodePieces(text, search, &merger, into: &ids)
        }
    }

    private func encodePieces(
        _ text: UnsafeBufferPointer<UInt8>, _ search: borrowing PatternSearch, _ merger: inout BytePairMerger,
        into ids: inout [Int32]
    ) throws(TokenizerError) {
        try preTokenizer.forEachPiece(of: text, search) { piece in
            let id = wholePieces.id(of: piece)
            if id >= 0 { ids.append(id) } else { merger.encode(piece, into: &ids) }
        }
    }

    // MARK: Decoding

    /// The bytes of the tokens `ids`, which need not be whole characters. Ids outside the vocabulary have no bytes.
    ///
    /// - Parameter skipSpecial: whether control tokens are left out.
    public func bytes(of ids: some Sequence<Int32>, skipSpecial: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids where id >= 0 && Int(id) < vocabularySize {
            if skipSpecial, vocabulary.kinds[Int(id)].isControl { continue }
            bytes.append(contentsOf: vocabulary.bytes[vocabulary.range(of: id)])
        }
        return bytes
    }

    /// The text of the tokens `ids` without control tokens; U+FFFD for bytes that are not UTF-8.
    public func decode(_ ids: some Sequence<Int32>) -> String {
        String(decoding: bytes(of: ids, skipSpecial: true), as: UTF8.self)
    }

    /// Whether `id` is a control token, which is left out of text and never made from user text.
    public func isControl(_ id: Int32) -> Bool {
        id >= 0 && Int(id) < vocabularySize && vocabulary.kinds[Int(id)].isControl
    }
}
