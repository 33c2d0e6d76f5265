// What a model's file tells about a prompt before anything is stored: whether its template takes the chat, and whether the
// prompt leaves room for an answer. The run checks the same again, with what its device allows.

import Jinja
import JobStore
import ModelFiles
import PromptFiles
import TTEngine
import TTPlatform
import TTWorker
import Tokenizer

/// Checks prompts against a model.
struct PromptCheck: Sendable {
    private let encoder: PromptEncoder
    private let bounds: PromptBounds
    private let now: Milliseconds

    /// - Parameter now: the time of enqueuing, which templates print.
    /// - Throws: where the file has no tokenizer that can be used.
    init(
        _ file: GGUFFile, _ model: ModelConfig, _ engine: EngineConfiguration, now: Milliseconds
    ) throws(TokenizerError) {
        encoder = try PromptEncoder(file.metadata)
        bounds = PromptBounds(
            maxModelLen: min(engine.longestModelLen(of: model), model.contextLength),
            canRaiseMaxModelLen: engine.canRaiseMaxModelLen(for: model), vocabularySize: model.vocabularySize)
        self.now = now
    }

    /// What is wrong with a line's prompt.
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
        switch prompt {
        case .tokens(let tokens): try bounds.admit(tokens)
        case .text(let text):
            // No token is shorter than a byte, so that few prompts need be tokenised.
            if encoder.tokenizer.mostTokens(ofBytes: text.utf8.count) < bounds.maxModelLen { return }
            try bounds.admit(try encoder.tokenizer.encode(prompt: text))
        case .chat(let chat):
            let prompt = try encoder.template.render(chat, enqueued: now)
            let bytes = prompt.utf8Count
            if bytes > 0, encoder.tokenizer.mostTokens(ofBytes: bytes) < bounds.maxModelLen { return }
            try bounds.admit(try encoder.tokenizer.encode(prompt.segments))
        }
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
    /// The request's field that it stands in.
    fileprivate var field: String { if case .chat = self { "messages" } else { "prompt" } }
}
