// Converts the body of a request to tokens and sampling parameters.

public import ModelFiles
import OpenAIFormats
public import Runtime
import Sampling
package import Tokenizers

/// Prepares requests for a model's engines.
public struct RequestPreparer: Sendable {
    private let encoder: PromptEncoder
    private let maxModelLen: Int
    private let vocabularySize: Int
    private let defaults: SamplingDefaults

    /// Makes a preparer for a model.
    ///
    /// - Parameters:
    ///   - maxModelLen: the longest sequence of the engines, in tokens.
    ///   - vocabularySize: the model's number of tokens.
    ///   - defaults: sampling of requests that do not say.
    public init(
        encoder: PromptEncoder, maxModelLen: Int, vocabularySize: Int, defaults: SamplingDefaults = SamplingDefaults()
    ) {
        self.encoder = encoder
        self.vocabularySize = vocabularySize
        self.maxModelLen = maxModelLen
        self.defaults = defaults
    }

    /// The model's tokenizer.
    package var tokenizer: Tokenizer { encoder.tokenizer }
    /// The text of the model's chat template; `nil` if it has none that can be used.
    package var chatTemplateText: String? { encoder.chatTemplateText }

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
            let handling = try encoder.handling(of: body)
            let prompts = try body.prompts.map {
                try encoder.tokens(of: $0, handling, maxModelLen: maxModelLen, enqueued: enqueued)
            }
            let givenSeed = body.seed.map { UInt64(bitPattern: $0) }
            var sampling = sampling(
                body, endpoint: endpoint, promptLength: prompts.map(\.count).max() ?? 0, seed: givenSeed ?? seed())
            let output = try OutputRules(body, prompts, encoder)
            sampling.grammar = try body.structure.map {
                let grammar = try encoder.structuredOutput.grammar($0, vocabularySize: vocabularySize)
                guard let marks = output.answer?.reasoningMarks else { return grammar }
                return GrammarReference(
                    ReasonedGrammar(grammar.grammar, marks, endTokens: encoder.tokenizer.endOfGenerationTokens))
            }
            sampling.shaping.badWords = try encoder.badWords(body.shaping.badWords)
            let forced = try body.scoring.map {
                try encoder.scoredTokens($0, of: body, behind: prompts, maxModelLen: maxModelLen)
            }
            if forced != nil {
                // The seed is kept, though nothing is drawn.
                let seed = sampling.token.seed
                sampling.token = .greedy
                sampling.token.seed = seed
                sampling.ignoreEOS = true
                sampling.minTokens = 0
            }
            return PreparedRequest(
                prompts: prompts, sampling: sampling,
                candidates: forced?.count ?? max(body.choices, body.bestOf ?? 1), choices: body.choices,
                forced: forced, output: output,
                promptField: promptField)
        } catch let unfit as UnfitRequest {
            throw unfit
        } catch {
            let invalid = error as? InvalidRequest
            let param =
                invalid.map { $0.problems.first?.param } ?? (error as? TooManyBadWords).map { _ in "bad_words" }
                ?? (error as? StructureProblem)?.path
            throw UnfitRequest(description: "\(error)", param: param ?? promptField)
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
                topP: max(Float(body.topP ?? defaults.topP ?? 1), .leastNormalMagnitude),
                minP: Float(body.minP ?? defaults.minP ?? 0),
                typicalP: max(Float(body.typicalP ?? 1), .leastNormalMagnitude),
                seed: seed),
            shaping: LogitShaping(body.shaping, defaults),
            // The limit is reduced to the tokens that fit, because the progress report uses it.
            maxTokens: min(body.maxTokens ?? standard, max(room, minTokens)), minTokens: minTokens,
            stopTokenIDs: Set(body.stopTokenIDs),
            ignoreEOS: body.ignoresEOS, givesSeed: body.seed != nil, repetition: body.repetition,
            logprobs: body.logprobsRequest,
            promptLogprobs: body.promptLogprobsRequest)
    }
}

extension LogitShaping {
    /// The changes that a request or the model's defaults ask for, but for its bad words, which need a tokenizer.
    fileprivate init(_ shaping: RequestBody.Shaping, _ defaults: SamplingDefaults) {
        self.init(
            penalties: Penalties(
                // A value that is too small for a Float must stay above 0.
                repetition: max(
                    Float(shaping.repetitionPenalty ?? defaults.repetitionPenalty ?? 1), .leastNormalMagnitude),
                frequency: Float(shaping.frequencyPenalty ?? 0), presence: Float(shaping.presencePenalty ?? 0)),
            bias: shaping.logitBias.mapValues { Float($0) }, allowed: shaping.allowedTokenIDs)
    }
}

extension RequestBody {
    /// What the engine is to tell of each generated token. The best of several texts are found by their
    /// logprobs, and so are the probabilities of values.
    fileprivate var logprobsRequest: LogprobsRequest? {
        if let logprobs { return LogprobsRequest(top: logprobs.top, tokens: logprobs.tokens) }
        return (bestOf ?? 1) > choices || wantsConfidence ? LogprobsRequest() : nil
    }

    /// What the engine is to tell of each token of the prompt.
    fileprivate var promptLogprobsRequest: PromptLogprobsRequest? {
        let echoed = echoes ? logprobs : nil
        guard promptLogprobs != nil || echoed != nil else { return nil }
        return PromptLogprobsRequest(
            LogprobsRequest(
                top: max(promptLogprobs ?? 0, echoed?.top ?? 0), tokens: echoed?.tokens ?? [],
                wantsRank: promptLogprobs != nil))
    }
}

extension OutputRules {
    fileprivate init(_ body: RequestBody, _ prompts: [[Int32]], _ encoder: PromptEncoder) throws {
        self.init()
        stopStrings = body.stop
        includesStop = body.includesStop
        scoring = body.scoring
        wantsConfidence = body.wantsConfidence
        skipsSpecialTokens = body.skipsSpecialTokens
        returnsTokenIDs = body.returnsTokenIDs
        topLogprobs = body.logprobs?.top
        topPromptLogprobs = body.promptLogprobs
        namesTokensByID = body.namesTokensByID
        if case .chat(let chat) = body.prompts[0] {
            answer = try encoder.answerRules(chat, of: body, prompt: prompts[0])
        }
        guard body.echoes else { return }
        echoes = zip(body.prompts, prompts).map { prompt, tokens in
            // A prompt that was cut is shown as it is.
            if case .text(let text) = prompt, body.truncation == nil { text } else { encoder.tokenizer.decode(tokens) }
        }
    }
}
