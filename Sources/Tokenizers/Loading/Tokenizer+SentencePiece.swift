// Makes a tokenizer of SentencePiece's BPE kind ("llama": Llama 2, Mistral, Gemma) from the metadata of a GGUF file.
//
// There are no merges: the two neighbours whose union has the best score are merged first. Spaces are written `▁`, and
// characters that have no token are spelt in tokens of bytes.

import ModelFiles

extension Tokenizer {
    private static let escapedSpace = Array("▁".utf8)

    convenience init(sentencePiece metadata: GGUFMetadata, _ preTokenizer: String?) throws(TokenizerError) {
        let path = metadata.path
        if let preTokenizer { throw .needlessPreTokenizer(preTokenizer, "a SentencePiece tokenizer", path) }
        let vocabulary = try Vocabulary(metadata, isByteLevel: false)
        let ranks = try Self.ranks(metadata, count: vocabulary.count)
        let unknown = (0..<Int32(vocabulary.count)).first { vocabulary.kinds[Int($0)] == .unknown }
        var defaults = MarkerTokens(bos: 1, eos: 2, unknown: unknown ?? 0)
        for id in [1, 2] as [Int32] where Int(id) < vocabulary.count && !vocabulary.kinds[Int(id)].isControl {
            if id == 1 { defaults.bos = nil } else { defaults.eos = nil }
        }
        let markers = try MarkerTokens(
            metadata, vocabularySize: vocabulary.count, addsBOS: defaults.bos != nil, defaults: defaults)
        let model = try Self.model(vocabulary, ranks, unknown: unknown ?? markers.unknown, path)
        let addsSpace = metadata.bool("tokenizer.ggml.add_space_prefix") ?? true
        let removesSpaces = metadata.bool("tokenizer.ggml.remove_extra_whitespaces") ?? false
        var steps: [Normalizer.Step] = removesSpaces ? [.removeExtraSpaces] : []
        if addsSpace { steps.append(.prepend([UInt8(ascii: " ")])) }
        steps.append(.replace([UInt8(ascii: " ")], with: Self.escapedSpace))
        if removesSpaces { steps.append(.removeFromEnd(Self.escapedSpace)) }
        let stripsRight = Self.stripsRight(metadata)
        var stages = Stages(
            normalizer: Normalizer(steps: steps), preTokenizer: PreTokenizer([]), model: .bytePairs(model),
            prefix: markers.prefix, suffix: markers.suffix)
        // Control tokens part a text, and each part begins with a space. User-defined pieces are only found in it.
        for id in 0..<Int32(vocabulary.count) {
            let spelling = vocabulary.spellings[id]
            switch vocabulary.kinds[Int(id)] {
            case .control, .unknown:
                let isKept = ["<unk>", "<s>", "<|endoftext|>"].contains(vocabulary.text(of: id))
                stages.addedTokens.insert(
                    spelling, id: id, AddedTokenOptions(isControl: true, stripsRight: stripsRight && !isKept))
            case .userDefined:
                let escaped = spelling.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
                    .joined(separator: Self.escapedSpace)
                stages.normalizedTokens.insert(Array(escaped), id: id, AddedTokenOptions())
            case .normal, .unused, .byte: break
            }
        }
        self.init(
            path: path, vocabulary: vocabulary, markers: markers, endOfGeneration: markers.endOfGeneration(vocabulary),
            stages: stages, decoder: Self.decoder(vocabulary, addsSpace: addsSpace, removesSpaces: removesSpaces))
    }

    /// Whether control tokens swallow the white space behind them. GGUF has no key for it; Phi-3's do.
    private static func stripsRight(_ metadata: GGUFMetadata) -> Bool {
        let name = metadata.string("general.name")?.lowercased() ?? ""
        return metadata.string("general.architecture") == "phi3" || name.contains("phi-3") || name.contains("phi3")
    }

    /// The rank of each token: 0 for those of the best score.
    private static func ranks(_ metadata: GGUFMetadata, count: Int) throws(TokenizerError) -> [UInt32] {
        let key = "tokenizer.ggml.scores"
        let scores: [Double]
        switch metadata[key] {
        case .floats(let floats): scores = floats
        case .integers(let integers): scores = integers.map(Double.init)
        default: throw .file(.missingKey(path: metadata.path, key: key, expected: "an array of numbers"))
        }
        guard scores.count == count else {
            throw .inconsistent(path: metadata.path, reason: "\(count) tokens but \(scores.count) scores")
        }
        if let id = scores.firstIndex(where: \.isNaN) {
            throw .inconsistent(path: metadata.path, reason: "the score of token \(id) is not a number")
        }
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        var ranks = [UInt32](repeating: 0, count: count)
        for (previous, index) in zip(order, order.dropFirst()) {
            ranks[index] = ranks[previous] + (scores[index] < scores[previous] ? 1 : 0)
        }
        return ranks
    }

    private static func model(
        _ vocabulary: Vocabulary, _ ranks: [UInt32], unknown: Int32?, _ path: String
    ) throws(TokenizerError) -> BytePairModel {
        let strings = vocabulary.spellings
        let mergeable = vocabulary.mergeable([.normal, .userDefined])
        let index = TokenIndex(strings, ids: mergeable)
        var byteTokens = [Int32](repeating: -1, count: 256)
        for id in 0..<Int32(vocabulary.count) where vocabulary.kinds[Int(id)] == .byte {
            guard let byte = TokenDecoder.byte(spelledBy: strings[id]) else {
                throw .inconsistent(
                    path: path, reason: "token \(id) is a byte, but is spelt \"\(vocabulary.text(of: id))\"")
            }
            byteTokens[Int(byte)] = id
        }
        // Characters that are no tokens, but from which tokens are merged, are symbols beyond the vocabulary.
        var characters: [UInt32] = []
        var entries: [(character: UInt32, id: Int32)] = []
        // By character; whatever the bytes are, they are read as 21 bits at most.
        var symbolOfCharacter = [Int32](repeating: -1, count: 1 << 21)
        strings.bytes.withUnsafeBufferPointer { bytes in
            for id in mergeable {
                let spelling = UnsafeBufferPointer(rebasing: bytes[strings.range(of: id)])
                UTF8Scalars.forEach(in: spelling) { value, range in
                    guard symbolOfCharacter[Int(value)] < 0 else { return }
                    var symbol = index.id(of: UnsafeBufferPointer(rebasing: spelling[range]))
                    if symbol < 0 {
                        symbol = Int32(vocabulary.count + characters.count)
                        characters.append(value)
                    }
                    symbolOfCharacter[Int(value)] = symbol
                    entries.append((value, symbol))
                }
            }
        }
        let merges = MergeTable.allSplits(
            of: mergeable, in: strings,
            symbols: { spelling in
                let id = index.id(of: spelling)
                if id >= 0 { return id }
                let (value, length) = UTF8Scalars.first(of: spelling, at: 0)
                return length == spelling.count ? symbolOfCharacter[Int(value)] : -1
            }, rank: { ranks[Int($0)] }, isCut: { $0 & 0xC0 != 0x80 })
        let symbols = CharacterSymbols(
            tokens: [], of: strings, byteTokens: byteTokens,
            unknown: unknown.map { .token($0, isFused: true) } ?? .dropped, further: entries)
        return BytePairModel(
            vocabulary, merges: merges, symbols: .characters(symbols), mergeable: mergeable, takesWholeTokens: false,
            characters: characters)
    }

    /// - Parameters:
    ///   - addsSpace: whether texts are encoded with a space before them, which is left out of the first piece.
    ///   - removesSpaces: whether all spaces at the beginning are.
    private static func decoder(_ vocabulary: Vocabulary, addsSpace: Bool, removesSpaces: Bool) -> TokenDecoder {
        // Tokens that are matched as text are spelt with spaces.
        let asTheyAre = (0..<Int32(vocabulary.count)).filter {
            vocabulary.kinds[Int($0)].isControl || vocabulary.kinds[Int($0)] == .userDefined
        }
        let drop: [TokenDecoder.Step] = addsSpace || removesSpaces ? [.dropFromFirst(escapedSpace)] : []
        return TokenDecoder(
            spellings: vocabulary.spellings,
            steps: [.bytes] + drop + [.unescapeSpaces(replacement: escapedSpace, dropsFirst: false)],
            bytes: .eachReplaced, isFirstUntilText: removesSpaces, asTheyAre: Set(asTheyAre))
    }
}
