// Which requests the platform can run (TT contract §2.1, `validate_request`).

public import Sampling

/// Why a request cannot be run, with the field that is wrong.
public struct RequestError: Error, Equatable, CustomStringConvertible {
    /// The field's name in a request.
    public var field: String
    /// What is wrong with it.
    public var reason: String

    /// An error about `field`.
    public init(field: String, reason: String) {
        self.field = field
        self.reason = reason
    }

    /// A one-line message.
    public var description: String { "\(field): \(reason)" }
}

extension TTPlatform {
    /// Checks that the platform can run a request with these parameters.
    ///
    /// - Parameter endOfGeneration: the model's end-of-generation tokens.
    /// - Throws: `RequestError` with the first field that it cannot apply; no field is ignored.
    public static func validateRequest(
        _ sampling: SamplingParams, vocabularySize: Int, endOfGeneration: Set<Int32> = []
    ) throws(RequestError) {
        try validate(sampling.token)
        try validateLengths(sampling)
        try validate(sampling.shaping, vocabularySize)
        for token in sampling.stopTokenIDs.sorted() where !(0..<vocabularySize).contains(Int(token)) {
            throw RequestError(
                field: "stop_token_ids", reason: "\(token) is not in the vocabulary of \(vocabularySize) tokens")
        }
        let stops = sampling.stopTokenIDs
        if sampling.minTokens > 0, stops.union(endOfGeneration).count >= vocabularySize {
            throw RequestError(
                field: "stop_token_ids",
                reason: "leave no token for the first min_tokens = \(sampling.minTokens) to be chosen from")
        }
    }

    private static func validate(_ params: TTSamplingParams) throws(RequestError) {
        guard params.temperature >= 0, params.temperature.isFinite else {
            throw RequestError(field: "temperature", reason: "must be 0 or more, not \(params.temperature)")
        }
        guard params.topK >= 0 else {
            throw RequestError(field: "top_k", reason: "must be 0 (all tokens) or more, not \(params.topK)")
        }
        guard params.topP > 0, params.topP <= 1 else {
            throw RequestError(field: "top_p", reason: "must be above 0 and at most 1, not \(params.topP)")
        }
        guard params.minP >= 0, params.minP <= 1 else {
            throw RequestError(field: "min_p", reason: "must be 0 to 1, not \(params.minP)")
        }
        guard params.typicalP > 0, params.typicalP <= 1 else {
            throw RequestError(field: "typical_p", reason: "must be above 0 and at most 1, not \(params.typicalP)")
        }
    }

    private static func validate(_ shaping: LogitShaping, _ vocabularySize: Int) throws(RequestError) {
        let penalties = shaping.penalties
        guard penalties.repetition > 0, penalties.repetition.isFinite else {
            throw RequestError(
                field: "repetition_penalty", reason: "must be above 0 and finite, not \(penalties.repetition)")
        }
        for (field, value) in [
            ("frequency_penalty", penalties.frequency), ("presence_penalty", penalties.presence),
        ] where !(-2...2).contains(value) {
            throw RequestError(field: field, reason: "must be -2 to 2, not \(value)")
        }
        guard shaping.allowed?.isEmpty != true else {
            throw RequestError(field: "allowed_token_ids", reason: "must allow a token")
        }
        let lists = [
            ("logit_bias", Array(shaping.bias.keys)), ("allowed_token_ids", shaping.allowed ?? []),
            ("bad_words", shaping.badWords.flatMap(\.self)),
        ]
        for (field, tokens) in lists {
            for token in tokens.sorted() where !(0..<vocabularySize).contains(Int(token)) {
                throw RequestError(
                    field: field, reason: "\(token) is not in the vocabulary of \(vocabularySize) tokens")
            }
        }
    }

    private static func validateLengths(_ params: SamplingParams) throws(RequestError) {
        let least = params.promptLogprobs == nil ? 1 : 0
        guard params.maxTokens >= least else {
            throw RequestError(field: "max_tokens", reason: "must be at least \(least), not \(params.maxTokens)")
        }
        guard (0...params.maxTokens).contains(params.minTokens) else {
            throw RequestError(
                field: "min_tokens",
                reason: "must be between 0 and max_tokens = \(params.maxTokens), not \(params.minTokens)")
        }
    }
}
