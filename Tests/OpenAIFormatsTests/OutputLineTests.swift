// Output lines, byte by byte against a file that OpenAI's own Python types have accepted (openai/check_objects.py).

import OpenAIFormats
import Testing

@testable import Sampling

@Suite struct OutputLineTests {
    private static let timings = OutputLine.Timings(queued: 1204, prefill: 35, decode: 410, total: 1649, attempt: 2)

    private static func completion(
        _ endpoint: Endpoint, _ text: String, stopReason: Completion.StopReason? = nil,
        tokenIDs: Completion.TokenIDs? = nil
    ) -> Completion {
        Completion(
            endpoint: endpoint, requestID: "req_7", id: endpoint == .completions ? "cmpl-7" : "chatcmpl-7",
            created: 1_790_000_000, model: "smollm2-135m-instruct",
            choices: [
                Completion.Choice(
                    text: text, finishReason: tokenIDs == nil ? .stop : .length, stopReason: stopReason,
                    tokenIDs: tokenIDs)
            ], promptTokens: 12, cachedTokens: tokenIDs?.prompt.count == 2 ? 8 : 0, completionTokens: 5)
    }

    static let lines = [
        OutputLine(
            id: "batch_req_1", customID: "chat",
            outcome: .completed(completion(.chatCompletions, "Hello.", stopReason: .token(128_009))),
            timings: timings),
        OutputLine(
            id: "batch_req_2", customID: "text \"é😀\"",
            outcome: .completed(
                completion(.completions, " a\n\"b\"\\\t\u{1}\u{2028}", stopReason: .string("\"\n")))),
        OutputLine(
            id: "batch_req_3", customID: "tokens",
            outcome: .completed(
                completion(.completions, "", tokenIDs: .init(prompt: [1, 2], completion: [0, 2_147_483_647]))),
            timings: timings),
        OutputLine(
            id: "batch_req_4", customID: "chat tokens",
            outcome: .completed(completion(.chatCompletions, "x", tokenIDs: .init(prompt: [9], completion: [])))),
        OutputLine(
            id: "batch_req_5", customID: "long",
            outcome: .refused(
                Refusal(
                    requestID: "req_5", status: 400, code: "context_length_exceeded",
                    message: "The prompt has 9000 tokens; the model's context has 8192.", param: "messages")),
            timings: timings),
        OutputLine(
            id: "batch_req_6", customID: "broken",
            outcome: .refused(Refusal(requestID: "req_6", status: 500, code: nil, message: "The device failed."))),
        OutputLine(
            id: "batch_req_7", customID: "late",
            outcome: .notRun(
                .expired, message: "This request could not be executed before the completion window expired.")),
        OutputLine(
            id: "batch_req_8", customID: "cancelled", outcome: .notRun(.cancelled, message: "The batch was cancelled.")),
        OutputLine(id: "batch_req_9", customID: "failed", outcome: .notRun(.failed, message: "The batch failed.")),
        OutputLine(id: "batch_req_10", customID: "texts", outcome: .completed(several(.completions))),
        OutputLine(id: "batch_req_11", customID: "chats", outcome: .completed(several(.chatCompletions))),
        OutputLine(id: "batch_req_12", customID: "calls", outcome: .completed(calls)),
        OutputLine(id: "batch_req_13", customID: "scores", outcome: .completed(scores)),
    ]

    /// Calls of tools, reasoning, and a text that could not be read.
    private static let calls = Completion(
        endpoint: .chatCompletions, requestID: "req_8", id: "chatcmpl-8", created: 1_790_000_000,
        model: "smollm2-135m-instruct",
        choices: [
            Completion.Choice(
                text: "", reasoning: "Oslo\nor Bergen?",
                toolCalls: [
                    ToolCall(name: "weather", arguments: #"{"city":"Oslo"}"#), ToolCall(name: "time", arguments: "{}"),
                ], finishReason: .toolCalls),
            Completion.Choice(text: "Yes.", reasoning: "Hm.", finishReason: .stop, isComplete: true),
            Completion.Choice(text: "<tool_call>{", unread: "a call is no JSON", finishReason: .length),
        ], promptTokens: 12, completionTokens: 5)

    /// Texts that the request gave, one of which is excluded, and the probabilities of a JSON text's values.
    private static let scores = Completion(
        endpoint: .completions, requestID: "req_9", id: "cmpl-9", created: 1_790_000_000,
        model: "smollm2-135m-instruct",
        choices: [
            Completion.Choice(
                text: "good",
                scores: [
                    ScoredText(text: "good", logprob: -0.5, tokens: 1, isGreedy: true, probability: 1),
                    ScoredText(text: "b\"d", logprob: -.infinity, tokens: 2, isGreedy: false, probability: 0),
                ].json, finishReason: .stop),
            Completion.Choice(text: #"{"a":1}"#, confidence: #"{"$.a":0.5}"#, finishReason: .stop),
        ], promptTokens: 12, completionTokens: 3, seed: -5, fingerprint: "fp_0123456789abcdef")

    /// Several texts with logprobs: characters in parts, excluded tokens, tokens of the same text, and an echoed prompt.
    static func several(_ endpoint: Endpoint) -> Completion {
        func token(_ id: Int32, _ bytes: [UInt8], _ logprob: Float?) -> ScoredToken {
            ScoredToken(token: id, bytes: bytes, logprob: logprob)
        }
        let start = ScoredPosition(own: token(5, [0xF0, 0x9F], -1), top: [token(6, [0x61], -0.5)])
        let end = ScoredPosition(
            own: token(7, [0x98, 0x80], -0.125), top: [token(7, [0x98, 0x80], -0.125), token(8, [0x21], -.infinity)],
            requested: [token(9, [0x62], -3), token(7, [0x98, 0x80], -0.125)])
        let twin = ScoredPosition(own: token(10, [0x61], -2), top: [token(11, [0x61], -1e-7)], rank: 2)
        let echoed = ScoredPosition(own: token(1, [0x3C], nil))
        return Completion(
            endpoint: endpoint, requestID: "req_7", id: endpoint == .completions ? "cmpl-7" : "chatcmpl-7",
            created: 1_790_000_000, model: "smollm2-135m-instruct",
            choices: [
                Completion.Choice(
                    text: "😀a", finishReason: .stop,
                    logprobs: (endpoint == .completions ? [echoed] : []) + [start, end, twin], promptLogprobs: [twin]),
                Completion.Choice(text: "", finishReason: .length, logprobs: []),
            ], promptTokens: 12, completionTokens: 5)
    }

    @Test func linesAreWhatOpenAIsTypesAccept() throws {
        var bytes: [UInt8] = []
        for line in Self.lines { line.encode(into: &bytes) }
        try expectOpenAIFile("output.jsonl", holds: String(decoding: bytes, as: UTF8.self))
    }
}
