// Makes a tokenizer from the metadata of a GGUF file.

public import ModelFiles

extension Tokenizer {
    /// Makes the tokenizer of a model file.
    ///
    /// - Parameters:
    ///   - metadata: the file's metadata.
    ///   - preTokenizer: the name of the pre-tokeniser to use in place of the file's (`tokenizer.ggml.pre`), for files in
    ///     which it is missing or wrong.
    /// - Throws: `TokenizerError` with the file and the key, if the tokenizer is of a kind that is not supported, its
    ///   pre-tokeniser is unknown, or its parts are inconsistent.
    public convenience init(_ metadata: GGUFMetadata, preTokenizer: String? = nil) throws(TokenizerError) {
        switch try metadata.tokenizerString("tokenizer.ggml.model") {
        case "gpt2": try self.init(byteLevel: metadata, preTokenizer)
        case "llama": try self.init(sentencePiece: metadata, preTokenizer)
        case let model: throw .unsupportedModel(path: metadata.path, model: model, kind: Self.kinds[model])
        }
    }

    /// What the kinds of tokenizers that are not supported are called elsewhere.
    private static let kinds = [
        "bert": "WordPiece", "t5": "Unigram", "rwkv": "RWKV's greedy tokenizer", "plamo2": "PLaMo 2's tokenizer",
        "gemma4": "BPE of escaped spaces, as Gemma 4 has it", "hybriddna": "a tokenizer of DNA",
        "none": "no vocabulary",
        "no_vocab": "no vocabulary", "whitespace": "words between white space",
    ]

    private convenience init(byteLevel metadata: GGUFMetadata, _ preTokenizer: String?) throws(TokenizerError) {
        let path = metadata.path
        guard let name = preTokenizer ?? metadata.string("tokenizer.ggml.pre") else {
            throw .missingPreTokenizer(path: path)
        }
        if let kind = PreTokenizerRules.unsupported[name] {
            throw .unsupportedPreTokenizer(path: path, name: name, kind: kind)
        }
        guard let rules = PreTokenizerRules.named[name] else {
            throw .unknownPreTokenizer(path: path, name: name, known: PreTokenizerRules.named.keys.sorted())
        }
        let vocabulary = try Vocabulary(metadata, isByteLevel: true)
        let mergeable = vocabulary.mergeable([.normal, .unused, .byte, .userDefined])
        let index = TokenIndex(vocabulary.spellings, ids: mergeable)
        let byteTokens = (0...255).map { index.id(of: CollectionOfOne(UInt8($0))) }
        let model = BytePairModel(
            vocabulary, merges: try MergeTable(metadata, vocabulary, index, rules), symbols: .bytes(byteTokens),
            mergeable: mergeable, takesWholeTokens: rules.takesWholeTokens)
        let markers = try MarkerTokens(metadata, vocabularySize: vocabulary.count, addsBOS: rules.addsBOS)
        self.init(
            path: path, vocabulary: vocabulary, markers: markers, endOfGeneration: markers.endOfGeneration(vocabulary),
            stages: Stages(
                addedTokens: AddedTokens(vocabulary),
                normalizer: rules.composes ? Normalizer(steps: [.form(.nfc)]) : .none,
                preTokenizer: PreTokenizer(rules), model: .bytePairs(model), prefix: markers.prefix,
                suffix: markers.suffix),
            decoder: TokenDecoder(texts: vocabulary.spellings))
    }
}

extension AddedTokens {
    /// The control tokens and the user-defined tokens of a vocabulary.
    init(_ vocabulary: Vocabulary) {
        self.init()
        for id in 0..<Int32(vocabulary.count) {
            let isControl = vocabulary.kinds[Int(id)].isControl
            guard isControl || vocabulary.kinds[Int(id)] == .userDefined else { continue }
            insert(vocabulary.spellings[id], id: id, AddedTokenOptions(isControl: isControl))
        }
    }
}

extension Vocabulary {
    init(_ metadata: GGUFMetadata, isByteLevel: Bool) throws(TokenizerError) {
        let spellings = try metadata.tokenizerStrings("tokenizer.ggml.tokens")
        let path = metadata.path
        guard !spellings.isEmpty, spellings.count < Int32.max / 2 else {
            throw .inconsistent(path: path, reason: "a vocabulary of \(spellings.count) tokens")
        }
        guard spellings.reduce(0, { $0 + $1.count }) < Int32.max else {
            throw .inconsistent(path: path, reason: "a vocabulary of more than 2 GiB")
        }
        guard case .integers(let types)? = metadata["tokenizer.ggml.token_type"] else {
            throw .file(.missingKey(path: path, key: "tokenizer.ggml.token_type", expected: "an array of integers"))
        }
        guard types.count == spellings.count else {
            throw .inconsistent(path: path, reason: "\(spellings.count) tokens but \(types.count) token types")
        }
        var kinds: [Kind] = []
        kinds.reserveCapacity(types.count)
        for (id, type) in types.enumerated() {
            guard let raw = UInt8(exactly: type), let kind = Kind(rawValue: raw) else {
                throw .inconsistent(path: path, reason: "token \(id) has the unknown type \(type)")
            }
            kinds.append(kind)
        }
        // What is matched as text is spelt as it is.
        let inAlphabet: Set<Kind> = isByteLevel ? [.normal, .unused, .byte] : []
        self.init(spellings: spellings, kinds: kinds) { inAlphabet.contains(kinds[$0]) }
    }
}

extension MergeTable {
    /// Reads merges of the form `left right`. Merges that make a control token are left out: ordinary text must never
    /// become a control token. So are those with a spelling outside the alphabet: no text can come to them.
    init(
        _ metadata: GGUFMetadata, _ vocabulary: Vocabulary, _ index: TokenIndex, _ rules: PreTokenizerRules
    ) throws(TokenizerError) {
        if rules.mergesByOrder, metadata["tokenizer.ggml.merges"] == nil {
            self = .allSplits(
                of: vocabulary.mergeable([.normal]), in: vocabulary.spellings, symbols: { index.id(of: $0) },
                rank: { UInt32($0) }, isCut: { _ in true })
            return
        }
        let lines = try metadata.tokenizerStrings("tokenizer.ggml.merges")
        var merges: [(left: Int32, right: Int32, merge: Merge)] = []
        merges.reserveCapacity(lines.count)
        let others = Set(
            (0..<Int32(vocabulary.count)).filter { vocabulary.kinds[Int($0)].isControl }.map {
                vocabulary.spellings[$0]
            })
        var joined: [UInt8] = []
        for (rank, line) in lines.enumerated() {
            guard let space = line.dropFirst().firstIndex(of: UInt8(ascii: " ")) else {
                throw .inconsistent(path: metadata.path, reason: "merge \(rank) is not two tokens")
            }
            joined.removeAll(keepingCapacity: true)
            var isSpelt = line[..<space].withUnsafeBufferPointer { ByteLevel.appendBytes(of: $0, to: &joined) }
            let middle = joined.count
            if !line[(space + 1)...].withUnsafeBufferPointer({ ByteLevel.appendBytes(of: $0, to: &joined) }) {
                isSpelt = false
            }
            if !isSpelt { continue }
            let (left, right, result) = joined.withUnsafeBufferPointer { joined in
                (
                    index.id(of: UnsafeBufferPointer(rebasing: joined[..<middle])),
                    index.id(of: UnsafeBufferPointer(rebasing: joined[middle...])), index.id(of: joined)
                )
            }
            if left >= 0, right >= 0, result >= 0 {
                merges.append((left, right, Merge(rank: UInt32(rank), result: result)))
            } else if ![line[..<space], line[(space + 1)...], line[..<space] + line[(space + 1)...]].contains(
                where: others.contains)
            {
                throw .inconsistent(
                    path: metadata.path,
                    reason: "merge \(rank) (\"\(String(decoding: line, as: UTF8.self))\") names a token that is missing"
                )
            }
        }
        self.init(merges)
    }
}

extension MarkerTokens {
    init(
        _ metadata: GGUFMetadata, vocabularySize: Int, addsBOS: Bool, defaults: MarkerTokens = MarkerTokens()
    ) throws(TokenizerError) {
        func id(_ name: String, _ fallback: Int32?) throws(TokenizerError) -> Int32? {
            guard let id = metadata.integer("tokenizer.ggml.\(name)_token_id") else {
                return fallback.flatMap { Int($0) < vocabularySize ? $0 : nil }
            }
            guard (0..<vocabularySize).contains(id) else {
                throw .inconsistent(
                    path: metadata.path,
                    reason: "tokenizer.ggml.\(name)_token_id is \(id), the vocabulary has \(vocabularySize) tokens")
            }
            return Int32(id)
        }
        self.init(
            bos: try id("bos", defaults.bos), eos: try id("eos", defaults.eos), eot: try id("eot", nil),
            eom: try id("eom", nil), unknown: try id("unknown", defaults.unknown), padding: try id("padding", nil),
            addsBOS: metadata.bool("tokenizer.ggml.add_bos_token") ?? addsBOS,
            addsEOS: metadata.bool("tokenizer.ggml.add_eos_token") ?? false)
        if self.addsBOS, bos == nil {
            throw .inconsistent(path: metadata.path, reason: "prompts begin with BOS, but no bos_token_id is given")
        }
        if self.addsEOS, eos == nil {
            throw .inconsistent(path: metadata.path, reason: "prompts end with EOS, but no eos_token_id is given")
        }
    }

    /// What begins a plain prompt.
    var prefix: [Int32] { addsBOS ? [bos].compactMap(\.self) : [] }
    /// What ends a plain prompt.
    var suffix: [Int32] { addsEOS ? [eos].compactMap(\.self) : [] }
}

extension GGUFMetadata {
    func tokenizerString(_ key: String) throws(TokenizerError) -> String {
        do { return try requiredString(key) } catch { throw .file(error) }
    }

    func tokenizerStrings(_ key: String) throws(TokenizerError) -> [[UInt8]] {
        guard case .strings(let strings)? = self[key] else {
            throw .file(.missingKey(path: path, key: key, expected: "an array of strings"))
        }
        return strings
    }
}
