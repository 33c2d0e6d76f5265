// What a model's files say of how it should be sampled.

private import JSONText

/// Sampling parameters that a model's makers recommend, and the tokens that end a text. What the files do not say is `nil`.
public struct GenerationDefaults: Sendable, Equatable {
    /// Whether tokens are sampled at all, or the most probable one is taken.
    public var samples: Bool?
    /// Temperature.
    public var temperature: Double?
    /// The number of most probable tokens that are sampled from.
    public var topK: Int?
    /// The probability that the sampled tokens have together.
    public var topP: Double?
    /// The least probability of a sampled token, as a part of the highest one.
    public var minP: Double?
    /// The factor by which tokens that appeared before become less probable.
    public var repetitionPenalty: Double?
    /// Ids of tokens that end a text.
    public var endTokens: [Int] = []

    /// No recommendation.
    public init() {}
}

extension GenerationDefaults {
    /// What the `general.sampling` keys of a GGUF file say. End tokens are part of its tokenizer.
    ///
    /// Source: the GGUF specification; llama.cpp, `llama-arch.cpp`.
    init(_ metadata: GGUFMetadata) {
        func number(_ key: String, _ range: ClosedRange<Double>) -> Double? {
            metadata.number("general.sampling." + key).flatMap { range.contains($0) ? $0 : nil }
        }
        temperature = number("temp", 0...1000)
        topK = metadata.integer("general.sampling.top_k").flatMap { $0 > 0 ? $0 : nil }
        topP = number("top_p", 0...1)
        minP = number("min_p", 0...1)
        repetitionPenalty = number("penalty_repeat", 1e-3...1000)
    }

    /// What `generation_config.json` in `folder` says; end tokens may be in `config` only.
    ///
    /// Source: transformers, `GenerationConfig`.
    ///
    /// - Throws: `ModelFileError` if the file is not JSON, or a value is of another kind.
    init(folder: String, _ config: HuggingFaceConfig) throws(ModelFileError) {
        let path = folder + "/generation_config.json"
        if MappedFile.exists(path) {
            let keys = try ConfigKeys(fileAt: path)
            samples = try keys.flag("do_sample")
            temperature = try keys.number("temperature", in: 0...1000)
            topK = try keys.integer("top_k").flatMap { $0 > 0 ? $0 : nil }
            topP = try keys.number("top_p", in: 0...1)
            minP = try keys.number("min_p", in: 0...1)
            repetitionPenalty = try keys.number("repetition_penalty", in: 1e-3...1000)
            endTokens = try keys.tokens("eos_token_id")
        }
        if endTokens.isEmpty { endTokens = try config.text.tokens("eos_token_id") }
        if endTokens.isEmpty { endTokens = try config.top.tokens("eos_token_id") }
    }
}

extension ConfigKeys {
    fileprivate func number(_ key: String, in range: ClosedRange<Double>) throws(ModelFileError) -> Double? {
        guard let number = try number(key) else { return nil }
        guard range.contains(number) else {
            throw wrongValue(key, "\(number)", "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Token ids, given as one number or several.
    fileprivate func tokens(_ key: String) throws(ModelFileError) -> [Int] {
        guard case .array(let ids)? = self[key] else { return try integer(key).map { [$0] } ?? [] }
        return try ids.map { id throws(ModelFileError) in
            guard case .int(let id) = id else { throw wrongValue(key, id.excerpt, "ids of tokens") }
            return Int(id)
        }
    }
}
