// Converts the body of a request to tokens and sampling parameters.

public import ModelFiles
import OpenAIFormats
public import Runtime
import Sampling

/// Prepares requests for a model's engines.
public struct RequestPreparer: Sendable {
    private let encoder: PromptEncoder
    private let maxModelLen: Int
    private let defaults: SamplingDefaults

    /// Makes a preparer for a model.
    ///
    /// - Parameters:
    ///   - maxModelLen: the longest sequence of the engines, in tokens.
    ///   - defaults: sampling of requests that do not say.
    public init(encoder: PromptEncoder, maxModelLen: Int, defaults: SamplingDefaults = SamplingDefaults()) {
        self.encoder = encoder
        self.maxModelLen = maxModelLen
        self.defaults = defaults
    }

    /// Reads the body, applies the chat template and tokenises.
    ///
    /// - Parameters:
    ///   - url: the request's endpoint, e.g. `/v1/completions`.
    ///   - enqueued: the time of the enqueue, which chat templates print.
    ///   - seed: the seed if the request has none.
    public func prepare(
        _ body: [UInt8], url: String, enqueued: Milliseconds, seed: @autoclosure () -> UInt64
    ) throws(UnfitRequest) -> PreparedRequest {
        guard let endpoint = Endpoint(rawValue: url) else {
            throw UnfitRequest(description: "endpoint \(url) is not known", param: nil)
        }
        let promptField = endpoint == .completions ? "prompt" : "messages"
        do {
            let body = try RequestBody.parse(body, endpoint: endpoint)
            let tokens = try encoder.tokens(of: body.prompt, enqueued: enqueued)
            let givenSeed = body.seed.map { UInt64(bitPattern: $0) }
            return PreparedRequest(
                promptTokens: tokens,
                sampling: sampling(
                    body, endpoint: endpoint, promptLength: tokens.count, seed: givenSeed ?? seed()),
                stopStrings: body.stop, returnTokenIDs: body.returnsTokenIDs, promptField: promptField)
        } catch {
            let invalid = error as? InvalidRequest
            let param = invalid == nil ? promptField : invalid?.problems.first?.param
            throw UnfitRequest(description: "\(error)", param: param)
        }
    }

    /// What neither the request nor the model says is as in OpenAI's API: temperature 1, 16 tokens for a completion, and for
    /// a chat all tokens that fit.
    private func sampling(
        _ body: RequestBody, endpoint: Endpoint, promptLength: Int, seed: UInt64
    ) -> SamplingParams {
        let room = max(1, maxModelLen - promptLength)
        let minTokens = body.minTokens ?? 0
        let standard = max(defaults.maxTokens ?? (endpoint == .completions ? 16 : room), minTokens)
        return SamplingParams(
            token: TTSamplingParams(
                temperature: Float(body.temperature ?? defaults.temperature ?? 1),
                topK: Int32(clamping: max(0, body.topK ?? defaults.topK ?? 0)),
                // A value that is too small for a Float must stay above 0.
                topP: max(Float(body.topP ?? defaults.topP ?? 1), .leastNormalMagnitude), seed: seed),
            // The limit is reduced to the tokens that fit, because the progress report uses it.
            maxTokens: min(body.maxTokens ?? standard, max(room, minTokens)), minTokens: minTokens,
            stopTokenIDs: Set(body.stopTokenIDs),
            ignoreEOS: body.ignoresEOS, givesSeed: body.seed != nil)
    }
}
