// A model's tokenizer: text to token ids and back. The files of `Loading` make one from what a model brings.

public import Jinja

/// The handling of text that spells a control token, such as `<|im_end|>`.
public enum SpecialTokenHandling: Sendable {
    /// It becomes that token.
    case parsed
    /// It is ordinary text and never becomes a control token. (User-defined tokens are still matched, as in Hugging
    /// Face and llama.cpp: they are vocabulary.)
    case text
}

/// A tokenizer. It is immutable, so several threads may use it at once.
///
/// A text goes through its stages: added tokens are cut out of it, the normaliser changes what is between them, the
/// pre-tokeniser splits that into pieces, and the model makes tokens of each piece. Token ids equal those of Hugging Face
/// `tokenizers`, SentencePiece or tiktoken, whichever the model was made with. A byte that the vocabulary cannot spell (see
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
    let decoder: TokenDecoder
    private let stages: Stages

    /// What a text goes through.
    struct Stages: Sendable {
        /// Added tokens that are found in the text as it is.
        var addedTokens = AddedTokens()
        var normalizer = Normalizer.none
        /// Added tokens that are found in the normalised text.
        var normalizedTokens = AddedTokens()
        var preTokenizer: PreTokenizer
        var model: TokenModel
        /// Token ids that begin and end a plain prompt.
        var prefix: [Int32] = []
        var suffix: [Int32] = []

        /// The maximum of tokens that a byte of text becomes.
        var mostTokensOfByte: Int {
            normalizer.mostBytesOfByte.saturatingProduct(preTokenizer.mostBytesOfByte)
                .saturatingProduct(model.mostTokensOfByte)
        }
    }

    init(
        path: String, vocabulary: Vocabulary, markers: MarkerTokens, endOfGeneration: Set<Int32>, stages: Stages,
        decoder: TokenDecoder
    ) {
        self.path = path
        self.vocabulary = vocabulary
        self.markers = markers
        self.stages = stages
        self.decoder = decoder
        vocabularySize = vocabulary.count
        endOfGenerationTokens = endOfGeneration
        if case .bytePairs(let model) = stages.model, case .bytes(let tokens) = model.symbols {
            unencodableBytes = (0...255).filter { tokens[Int($0)] < 0 }
        } else {
            unencodableBytes = []
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

    /// The token ids of a plain prompt. Control tokens are parsed. What the model wants at the beginning (mostly BOS) and
    /// at the end is added if the prompt does not have it.
    ///
    /// - Throws: `TokenizerError.patternFailed` for a text that takes too long to split into pieces.
    public func encode(prompt: String) throws(TokenizerError) -> [Int32] {
        framed(try encode(prompt, specials: .parsed))
    }

    /// The token ids with what the model wants at the beginning and at the end of a prompt, if they do not have it.
    public func framed(_ ids: [Int32]) -> [Int32] {
        var ids = ids
        if !ids.starts(with: stages.prefix) { ids.insert(contentsOf: stages.prefix, at: 0) }
        if !ids.suffix(stages.suffix.count).elementsEqual(stages.suffix) { ids += stages.suffix }
        return ids
    }

    /// Those of a prompt's token ids that the model wants at its beginning and at its end.
    public func frame(of ids: [Int32]) -> (prefix: [Int32], suffix: [Int32]) {
        (
            ids.starts(with: stages.prefix) ? stages.prefix : [],
            ids.suffix(stages.suffix.count).elementsEqual(stages.suffix) ? stages.suffix : []
        )
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
        let tokens = count.saturatingProduct(stages.mostTokensOfByte)
        let (sum, overflows) = tokens.addingReportingOverflow(stages.prefix.count + stages.suffix.count)
        return overflows ? .max : sum
    }

    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, controlRanges: [Range<Int>]
    ) throws(TokenizerError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(text.count / 4 + 8)
        var encoder = stages.model.makeEncoder()
        let search = PatternSearch()
        var end = 0
        while end < text.count {
            let match = stages.addedTokens.firstMatch(in: text, from: end, controlRanges: controlRanges)
            let range = end..<(match?.range.lowerBound ?? text.count)
            if !range.isEmpty { try encodePlain(text, range, controlRanges, search, &encoder, into: &ids) }
            if let match { ids.append(match.id) }
            end = match?.range.upperBound ?? text.count
        }
        return ids
    }

    /// Encodes the text between added tokens.
    private func encodePlain(
        _ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ controlRanges: [Range<Int>],
        _ search: borrowing PatternSearch, _ encoder: inout PieceEncoder, into ids: inout [Int32]
    ) throws(TokenizerError) {
        let plain = UnsafeBufferPointer(rebasing: text[range])
        let beginsText = range.lowerBound == 0
        if stages.normalizer.steps.isEmpty, stages.normalizedTokens.isEmpty {
            return try encodePieces(plain, beginsText, search, &encoder, into: &ids)
        }
        var isTemplate: [Bool]?
        if stages.normalizedTokens.hasControl {
            isTemplate = Self.flags(of: controlRanges, in: range)
        }
        var normalized = NormalizedText(bytes: Array(plain), isTemplate: isTemplate, beginsText: beginsText)
        try stages.normalizer.normalize(&normalized, search)
        let ranges = normalized.isTemplate.map { Self.ranges(in: $0) } ?? []
        try normalized.bytes.withUnsafeBufferPointer { text throws(TokenizerError) in
            var end = 0
            while end < text.count {
                let match = stages.normalizedTokens.firstMatch(in: text, from: end, controlRanges: ranges)
                let piece = UnsafeBufferPointer(rebasing: text[end..<(match?.range.lowerBound ?? text.count)])
                try encodePieces(piece, normalized.beginsText && end == 0, search, &encoder, into: &ids)
                if let match { ids.append(match.id) }
                end = match?.range.upperBound ?? text.count
            }
        }
    }

    /// For each position of `range`, whether one of `ranges`, which are ascending and disjoint, contains it.
    private static func flags(of ranges: [Range<Int>], in range: Range<Int>) -> [Bool] {
        var flags = [Bool](repeating: false, count: range.count)
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        for found in ranges[low...].prefix(while: { $0.lowerBound < range.upperBound }) {
            for position in found.clamped(to: range) { flags[position - range.lowerBound] = true }
        }
        return flags
    }

    /// The ranges in which all elements are true.
    private static func ranges(in flags: [Bool]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start: Int?
        for (index, flag) in flags.enumerated() {
            if flag { start = start ?? index } else if let begun = start.take() { ranges.append(begun..<index) }
        }
        if let start { ranges.append(start..<flags.count) }
        return ranges
    }

    private func encodePieces(
        _ text: UnsafeBufferPointer<UInt8>, _ beginsText: Bool, _ search: borrowing PatternSearch,
        _ encoder: inout PieceEncoder, into ids: inout [Int32]
    ) throws(TokenizerError) {
        try stages.preTokenizer.forEachPiece(of: text, beginsText: beginsText, search) {
            encoder.encode($0, into: &ids)
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
            bytes.append(contentsOf: decoder.text(of: id, isFirst: false, isLast: false).bytes)
        }
        return bytes
    }

    /// The text of the tokens `ids` without control tokens; U+FFFD for bytes that are not UTF-8.
    public func decode(_ ids: some Sequence<Int32>) -> String {
        var detokenizer = Detokenizer(self)
        return ids.map { detokenizer.push($0) }.joined() + detokenizer.finish()
    }

    /// Whether `id` is a control token, which is left out of text and never made from user text.
    public func isControl(_ id: Int32) -> Bool {
        id >= 0 && Int(id) < vocabularySize && vocabulary.kinds[Int(id)].isControl
    }
}
