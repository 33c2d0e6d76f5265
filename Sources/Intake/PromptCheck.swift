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

    /// The problems of a line's prompt.
    func problems(of line: PromptLine) -> [RequestProblem] {
        do {
            try check(line.request.prompt)
            return stopTokenProblems(line)
        } catch let error as UnusedTexts {
            return error.texts.map { text in
                RequestProblem(
                    code: .unsupportedField, place: .field(line.fieldPrefix + text.path), complaint: text.complaint,
                    remedy: text.remedy)
            }
        } catch {
            let code = (error as? RequestRefusal).flatMap { RequestProblem.Code(rawValue: $0.code) }
            let place = RequestProblem.Place.field(line.fieldPrefix + line.request.prompt.field)
            return [RequestProblem(code: code ?? .invalidValue, place: place, complaint: "\(error)")]
        }
    }

    private func check(_ prompt: RequestBody.Prompt) throws {
        let tokens = try encoder.tokens(of: prompt, unlessShorterThan: bounds.maxModelLen, enqueued: now)
        if let tokens { try bounds.admit(tokens) }
    }

    private func stopTokenProblems(_ line: PromptLine) -> [RequestProblem] {
        guard let outside = line.request.stopTokenIDs.first(where: { $0 >= bounds.vocabularySize }) else { return [] }
        return [
            RequestProblem(
                code: .tokenOutOfRange, place: .field(line.fieldPrefix + "stop_token_ids"), value: "\(outside)",
                complaint: "is not one of the model's \(bounds.vocabularySize) tokens",
                remedy: "use ids from 0 to \(bounds.vocabularySize - 1)")
        ]
    }
}

extension RequestBody.Prompt {
    /// The field of the request that contains it.
    fileprivate var field: String { if case .chat = self { "messages" } else { "prompt" } }
}
