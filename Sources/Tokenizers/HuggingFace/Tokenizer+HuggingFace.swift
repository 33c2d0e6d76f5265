// Makes a tokenizer from the files of a Hugging Face folder, as the fast tokenizers of transformers do.

import JSONText
public import ModelFiles

extension Tokenizer {
    /// Makes the tokenizer of a model folder.
    ///
    /// BOS, EOS and the other named tokens are those of tokenizer_config.json, or of special_tokens_map.json. What begins
    /// and ends a plain prompt is the post-processor's business, unless tokenizer_config.json has `add_bos_token` or
    /// `add_eos_token`. Generation ends with the tokens of generation_config.json, with EOS, and with those that end it in
    /// every model. `truncation` and `padding` of tokenizer.json are ignored: the engine has limits of its own.
    ///
    /// - Throws: `TokenizerError` with file and place, if something in them is wrong or not supported.
    public convenience init(huggingFace files: HuggingFaceTokenizerFiles) throws(TokenizerError) {
        switch files.vocabulary {
        case .tokenizerJSON(let bytes):
            let parts = try JSONPlace.withRoot(of: bytes, file: files.path(of: "tokenizer.json")) {
                root throws(TokenizerError) in try TokenizerParts(root, files)
            }
            self.init(parts, files.path)
        case .tekken(let bytes): try self.init(tekken: bytes, files)
        case .tiktoken(let bytes, let name): try self.init(tiktoken: bytes, name: name, files)
        case .sentencePiece(let name):
            throw .folder(
                path: files.path(of: name), place: "",
                reason:
                    "a SentencePiece model alone is not supported; add tokenizer.json, which transformers makes of it "
                    + "(AutoTokenizer.from_pretrained(folder).save_pretrained(folder))")
        }
    }

    private convenience init(_ parts: TokenizerParts, _ path: String) {
        self.init(
            path: path, vocabulary: parts.vocabulary, markers: parts.markers, endOfGeneration: parts.endOfGeneration,
            stages: parts.stages, decoder: parts.decoder)
    }
}

/// What tokenizer.json and the files beside it make of a tokenizer.
private struct TokenizerParts {
    let vocabulary: Vocabulary
    let markers: MarkerTokens
    let endOfGeneration: Set<Int32>
    let stages: Tokenizer.Stages
    let decoder: TokenDecoder

    init(_ root: JSONPlace, _ files: HuggingFaceTokenizerFiles) throws(TokenizerError) {
        if let version = try root.string("version"), version != "1.0" {
            throw root.error("has the version \(version); supported is 1.0")
        }
        let modelPlace = try root.required("model")
        _ = try TokenModel.type(modelPlace)
        var tokens = try TokenList(vocabulary: modelPlace.required("vocab"), addedTokens: root["added_tokens"])
        let names = try NamedTokens(files)
        try names.addTokens(to: &tokens)

        var steps: [PreTokenizer.Step] = []
        if let place = root["pre_tokenizer"] { steps = try PreTokenizer.Step.read(place) }
        // Where pieces are bytes in GPT-2's alphabet at last, the model works on the bytes themselves.
        var isByteLevel = false
        if case .byteAlphabet? = steps.last, try TokenModel.mayUseBytes(modelPlace, tokens) {
            isByteLevel = steps.count { if case .byteAlphabet = $0 { true } else { false } } == 1
            if isByteLevel { steps.removeLast() }
        }
        let vocabulary = tokens.vocabulary(isByteLevel: isByteLevel)
        var stages = Tokenizer.Stages(
            preTokenizer: PreTokenizer(steps),
            model: try TokenModel.read(modelPlace, tokens, vocabulary, isByteLevel: isByteLevel))
        if let place = root["normalizer"] { stages.normalizer = Normalizer(steps: try Normalizer.Step.read(place)) }
        if stages.mostTokensOfByte > 1 << 14 {
            throw root.error(
                "normalizer and pre_tokenizer make texts more than \(1 << 14) times as long, which is not supported")
        }

        var spellings = ByteStrings()
        spellings.reserve(count: tokens.spellings.count, bytes: tokens.spellings.reduce(0) { $0 + $1.count })
        var normalized: [Int32: [UInt8]] = [:]
        for token in tokens.added {
            guard token.isNormalized else {
                stages.addedTokens.insert(token.content, id: token.id, token.options)
                continue
            }
            var text = NormalizedText(bytes: token.content, isTemplate: nil, beginsText: true)
            try stages.normalizer.normalize(&text, PatternSearch())
            guard text.bytes.count <= 16 * token.content.count + 64 else {
                throw root.error("the normalised text of the added token \(token.id) is more than 16 times as long")
            }
            stages.normalizedTokens.insert(text.bytes, id: token.id, token.options)
            normalized[token.id] = text.bytes
        }
        for (id, spelling) in tokens.spellings.enumerated() { spellings.append(normalized[Int32(id)] ?? spelling) }

        var frame = PromptFrame()
        if let place = root["post_processor"] { frame = try .read(place, vocabularySize: vocabulary.count) }
        var markers = names.markers { tokens.id(of: $0) }
        if let explicit = try names.frame(markers) { frame = explicit }
        stages.prefix = frame.prefix
        stages.suffix = frame.suffix
        markers.addsBOS = markers.bos.map { frame.prefix.contains($0) } ?? false
        markers.addsEOS = markers.eos.map { frame.suffix.contains($0) } ?? false

        self.vocabulary = vocabulary
        self.markers = markers
        self.stages = stages
        decoder = try TokenDecoder(root["decoder"], spellings: spellings)
        endOfGeneration = try names.endOfGeneration(markers, vocabulary)
    }
}
