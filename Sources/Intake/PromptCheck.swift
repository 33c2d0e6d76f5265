// Checks of a prompt that need the model's file, before anything is stored: whether the template accepts the chat, and
// whether the prompt leaves room for an answer. They are repeated when the job runs, with the limits of the device.

import ModelFiles
import OpenAIFormats
import Platform
import PromptFiles
import Prompts
import Runtime
import StoreContract

/// Checks prompts against a model.
struct PromptCheck: Sendable {
    private let encoder: PromptEncoder
    private let bounds: PromptBounds
    private let now: Milliseconds

    /// - Parameter now: the time of the enqueue, which templates print.
    /// - Throws: if the model has no usable tokenizer.
    init(_ bundle: ModelBundle, _ engine: EngineConfiguration, now: Milliseconds) throws {
        encoder = try PromptEncoder(bundle)
        let model = bundle.config
        bounds = PromptBounds(
            maxModelLen: engine.longestModelLen(of: model),
            canRaiseMaxModelLen: engine.canRaiseMaxModelLen(for: model), vocabularySize: model.vocabularySize)
        self.now = now
    }

    /// The problems of a line that only the model's file shows.
    func problems(of line: PromptLine) -> [RequestProblem] {
        var problems: [RequestProblem] = []
        for (index, prompt) in line.request.prompts.enumerated() {
            let path = prompt.field + (line.request.prompts.count > 1 ? "[\(index)]" : "")
            problems += promptProblems(prompt, line, path: path)
        }
        if problems.isEmpty { problems += scoringProblems(line) }
        return problems + tokenProblems(line) + badWordProblems(line) + structureProblems(line)
    }

    private func promptProblems(_ prompt: RequestBody.Prompt, _ line: PromptLine, path: String) -> [RequestProblem] {
        do {
            let tokens = try encoder.tokensUnlessShort(
                of: prompt, try encoder.handling(of: line.request), maxModelLen: bounds.maxModelLen, enqueued: now)
            if let tokens { try bounds.admit(tokens, wantsTokens: line.request.maxTokens != 0) }
            return []
        } catch let error as UnusedTexts {
            return error.texts.map { text in
                RequestProblem(
                    code: .unsupportedField, place: .field(line.fieldPrefix + text.path), complaint: text.complaint,
                    remedy: text.remedy)
            }
        } catch {
            let code = (error as? RequestRefusal).flatMap { RequestProblem.Code(rawValue: $0.code) }
            return [
                RequestProblem(
                    code: code ?? .invalidValue, place: .field(line.fieldPrefix + path), complaint: "\(error)")
            ]
        }
    }

    /// Fields with token ids that the model does not have.
    private func tokenProblems(_ line: PromptLine) -> [RequestProblem] {
        let request = line.request
        let fields: [(name: String, tokens: [Int32])] = [
            ("stop_token_ids", request.stopTokenIDs),
            ("logit_bias", request.shaping.logitBias.keys.sorted()),
            ("allowed_token_ids", request.shaping.allowedTokenIDs ?? []),
            ("logprob_token_ids", request.logprobs?.tokens ?? []),
        ]
        return fields.compactMap { name, tokens in
            guard let outside = tokens.first(where: { $0 >= bounds.vocabularySize }) else { return nil }
            return RequestProblem(
                code: .tokenOutOfRange, place: .field(line.fieldPrefix + name), value: "\(outside)",
                complaint: "is not one of the model's \(bounds.vocabularySize) tokens",
                remedy: "use ids from 0 to \(bounds.vocabularySize - 1)")
        }
    }

    /// Whether the line offers tools, and it is not known how the model writes calls of them.
    func cannotReadCalls(of line: PromptLine) -> Bool { encoder.cannotReadCalls(of: line.request) }

    /// Texts that cannot be scored behind the prompt.
    private func scoringProblems(_ line: PromptLine) -> [RequestProblem] {
        guard let scoring = line.request.scoring else { return [] }
        do {
            let handling = try encoder.handling(of: line.request)
            let prompts = try line.request.prompts.map {
                try encoder.tokens(of: $0, handling, maxModelLen: bounds.maxModelLen, enqueued: now)
            }
            _ = try encoder.scoredTokens(
                scoring, of: line.request, behind: prompts, maxModelLen: bounds.maxModelLen)
            return []
        } catch {
            let field = (error as? UnfitRequest)?.param ?? (scoring.classifies ? "classify" : "score")
            return [
                RequestProblem(code: .invalidValue, place: .field(line.fieldPrefix + field), complaint: "\(error)")
            ]
        }
    }

    private func structureProblems(_ line: PromptLine) -> [RequestProblem] {
        encoder.structureProblems(of: line.request).map { problem in
            RequestProblem(
                code: .invalidValue, place: .field(line.fieldPrefix + problem.path), complaint: problem.complaint,
                remedy: problem.remedy)
        }
    }

    private func badWordProblems(_ line: PromptLine) -> [RequestProblem] {
        do {
            _ = try encoder.badWords(line.request.shaping.badWords)
            return []
        } catch {
            let place = RequestProblem.Place.field(line.fieldPrefix + "bad_words")
            return [RequestProblem(code: .invalidValue, place: place, complaint: "\(error)")]
        }
    }
}

extension RequestBody.Prompt {
    /// The field of the request that contains it.
    fileprivate var field: String { if case .chat = self { "messages" } else { "prompt" } }
}
