// The answer to one online request: OpenAI's object, or its chunks as server-sent events.

import HTTPExchange
import Hummingbird
import JSONText
import OpenAIFormats
import Prompts
import Serving

/// What all parts of an answer have in common.
struct OnlineAnswer: Sendable {
    let endpoint: Endpoint
    /// `cmpl-…` or `chatcmpl-…`
    let id: String
    /// In Unix seconds.
    let created: Int64
    /// The model's name, as the request has it.
    let model: String
    let seed: Int64

    /// The whole answer.
    func completion(_ finished: FinishedRequest) -> Completion {
        Completion(
            endpoint: endpoint, requestID: id, id: id, created: created, model: model,
            choices: finished.choices.map { Completion.Choice($0) }, promptTokens: finished.promptTokens,
            cachedTokens: finished.cachedTokens, completionTokens: finished.completionTokens, seed: seed)
    }

    /// The answer as it grows. An error after the first chunk is an event.
    func stream(_ events: AsyncStream<OnlineEvent>, includesUsage: Bool) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: ResponseBody { writer in
                var chunks = AnswerChunks(self, includesUsage: includesUsage)
                for await event in events {
                    let buffer = ByteBuffer(bytes: chunks.take(event))
                    if buffer.readableBytes > 0 { try await writer.write(buffer) }
                }
                try await writer.finish(nil)
            })
    }
}

/// The chunks of an answer.
///
/// Source: OpenAI's API reference, "Streaming"; every chunk but the last one of `include_usage` has a choice.
struct AnswerChunks {
    private let answer: OnlineAnswer
    private let includesUsage: Bool
    /// The choices that have begun.
    private var begun: Set<Int> = []
    /// Whether texts came in pieces.
    private var hasPieces = false

    init(_ answer: OnlineAnswer, includesUsage: Bool) {
        self.answer = answer
        self.includesUsage = includesUsage
    }

    /// The events that tell what has happened.
    mutating func take(_ event: OnlineEvent) -> [UInt8] {
        var output: [UInt8] = []
        switch event {
        case .text(let choice, let text):
            hasPieces = true
            begin(choice, &output)
            add(choice, .string(text), finishReason: nil, &output)
        case .failed(let failure):
            output += Array("data: ".utf8) + APIError(failure).body + Array("\n\ndata: [DONE]\n\n".utf8)
        case .finished(let finished):
            for (index, choice) in finished.choices.enumerated() {
                begin(index, &output)
                if !hasPieces { addWhole(choice, index, &output) }
                add(index, nil, finishReason: choice.end.finishReason, &output)
            }
            if includesUsage { addUsage(finished, &output) }
            output += Array("data: [DONE]\n\n".utf8)
        }
        return output
    }

    private mutating func begin(_ choice: Int, _ output: inout [UInt8]) {
        guard begun.insert(choice).inserted, answer.endpoint == .chatCompletions else { return }
        add(delta: ["role": "assistant", "content": ""], choice, finishReason: nil, &output)
    }

    private func addWhole(_ choice: FinishedChoice, _ index: Int, _ output: inout [UInt8]) {
        if let reasoning = choice.answer.reasoning {
            add(delta: ["reasoning": .string(reasoning)], index, finishReason: nil, &output)
        }
        if !choice.answer.text.isEmpty { add(index, .string(choice.answer.text), finishReason: nil, &output) }
        guard !choice.answer.toolCalls.isEmpty else { return }
        let calls = choice.answer.toolCalls.enumerated().map { place, call -> JSONValue in
            [
                "index": .int(Int64(place)), "id": .string(ToolCall.id(of: answer.id, choice: index, call: place)),
                "type": "function",
                "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
            ]
        }
        add(delta: ["tool_calls": .array(calls)], index, finishReason: nil, &output)
    }

    private func add(_ choice: Int, _ text: JSONValue?, finishReason: String?, _ output: inout [UInt8]) {
        switch answer.endpoint {
        case .chatCompletions:
            add(delta: text.map { ["content": $0] } ?? .object([]), choice, finishReason: finishReason, &output)
        case .completions:
            addChunk(
                [
                    "index": .int(Int64(choice)), "text": text ?? "", "logprobs": .null,
                    "finish_reason": finishReason.map { .string($0) } ?? .null,
                ], &output)
        }
    }

    private func add(delta: JSONValue, _ choice: Int, finishReason: String?, _ output: inout [UInt8]) {
        addChunk(
            [
                "index": .int(Int64(choice)), "delta": delta, "logprobs": .null,
                "finish_reason": finishReason.map { .string($0) } ?? .null,
            ], &output)
    }

    private func addChunk(_ choice: JSONValue, _ output: inout [UInt8]) {
        add(choices: [choice], usage: includesUsage ? .null : nil, &output)
    }

    private func addUsage(_ finished: FinishedRequest, _ output: inout [UInt8]) {
        let usage: JSONValue = [
            "prompt_tokens": .int(Int64(finished.promptTokens)),
            "completion_tokens": .int(Int64(finished.completionTokens)),
            "total_tokens": .int(Int64(finished.promptTokens + finished.completionTokens)),
            "prompt_tokens_details": ["cached_tokens": .int(Int64(finished.cachedTokens))],
        ]
        add(choices: [], usage: usage, &output)
    }

    private func add(choices: [JSONValue], usage: JSONValue?, _ output: inout [UInt8]) {
        var members: [JSONValue.Member] = [
            .init("id", .string(answer.id)),
            .init("object", answer.endpoint == .completions ? "text_completion" : "chat.completion.chunk"),
            .init("created", .int(answer.created)), .init("model", .string(answer.model)),
            .init("choices", .array(choices)),
        ]
        if let usage { members.append(.init("usage", usage)) }
        output += Array("data: ".utf8)
        JSONValue.object(members).encode(into: &output)
        output += Array("\n\n".utf8)
    }
}

extension Completion.Choice {
    fileprivate init(_ finished: FinishedChoice) {
        self.init(
            text: finished.answer.text, reasoning: finished.answer.reasoning, toolCalls: finished.answer.toolCalls,
            confidence: finished.confidence, scores: finished.scores, unread: finished.answer.unread,
            finishReason: Completion.FinishReason(rawValue: finished.end.finishReason) ?? .stop,
            isComplete: finished.isComplete,
            stopReason: finished.end.stopString.map { .string($0) } ?? finished.end.stopToken.map { .token($0) },
            tokenIDs: finished.promptTokenIDs.flatMap { prompt in
                finished.tokenIDs.map { Completion.TokenIDs(prompt: prompt, completion: $0) }
            },
            logprobs: finished.logprobs, promptLogprobs: finished.promptLogprobs)
    }
}
