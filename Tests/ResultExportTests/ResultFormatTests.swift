// The formats that are not OpenAI's: CSV and text.

import OpenAIFormats
import ResultExport
import Testing

@Suite struct ResultFormatTests {
    private static func line(_ customID: String, _ text: String, isTimed: Bool = false) -> OutputLine {
        OutputLine(
            id: "batch_req_1", customID: customID,
            outcome: .completed(
                Completion(
                    endpoint: .completions, requestID: "req_7", id: "cmpl-7", created: 1_790_000_000, model: "tiny",
                    choices: [Completion.Choice(text: text, finishReason: .stop)], promptTokens: 12,
                    completionTokens: 5)),
            timings: isTimed ? timings : nil)
    }

    private static let timings = OutputLine.Timings(queued: 1204, prefill: 35, decode: 410, total: 1649, attempt: 2)
    private static let tooLong = OutputLine(
        id: "batch_req_2", customID: "long",
        outcome: .refused(
            Refusal(
                requestID: "req_5", status: 400, code: "context_length_exceeded",
                message: "The prompt has 9000 tokens; the model's context has 8192.", param: "messages")),
        timings: timings)
    private static let broken = OutputLine(
        id: "batch_req_3", customID: "broken",
        outcome: .refused(Refusal(requestID: "req_6", status: 500, code: nil, message: "The device failed.")))
    private static let late = OutputLine(
        id: "batch_req_4", customID: "late", outcome: .notRun(.expired, message: "The window expired."))
    private static let cancelled = OutputLine(
        id: "batch_req_5", customID: "cancelled", outcome: .notRun(.cancelled, message: "The batch was cancelled."))

    private static let calls = OutputLine(
        id: "batch_req_6", customID: "calls",
        outcome: .completed(
            Completion(
                endpoint: .chatCompletions, requestID: "req_8", id: "chatcmpl-8", created: 1_790_000_000, model: "tiny",
                choices: [
                    Completion.Choice(
                        text: "", reasoning: "Hm.", toolCalls: [ToolCall(name: "f", arguments: "{}")],
                        finishReason: .toolCalls)
                ], promptTokens: 12, completionTokens: 5)))

    private func encoded(_ lines: [OutputLine], as format: ResultFormat) -> String {
        var bytes: [UInt8] = []
        format.encodeHeader(into: &bytes)
        for line in lines { line.encode(as: format, into: &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func jsonlIsTheLinesAlone() {
        let lines = [Self.line("a", "x"), Self.late]
        var bytes: [UInt8] = []
        for line in lines { line.encode(into: &bytes) }
        #expect(encoded(lines, as: .jsonl) == String(decoding: bytes, as: UTF8.self))
    }

    @Test func csvQuotesWhatItMust() {
        let lines = [
            Self.line("chat", "Hello.", isTimed: true), Self.line("text \"é😀\"", " a\n\"b\"\\\t\u{1}\u{2028}"),
            Self.tooLong, Self.cancelled, Self.calls,
        ]
        let expected = [
            "custom_id,state,finish_reason,text,prompt_tokens,completion_tokens,total_ms,error,reasoning,tool_calls",
            "chat,succeeded,stop,Hello.,12,5,1649,,,",
            "\"text \"\"é😀\"\"\",succeeded,stop,\" a\n\"\"b\"\"\\\t\u{1}\u{2028}\",12,5,,,,",
            "long,failed,,,,,1649,context_length_exceeded: The prompt has 9000 tokens; the model's context has 8192.,,",
            "cancelled,cancelled,,,,,,batch_cancelled: The batch was cancelled.,,",
            "calls,succeeded,tool_calls,,12,5,,,Hm.,\"[{\"\"name\"\":\"\"f\"\",\"\"arguments\"\":\"\"{}\"\"}]\"",
        ]
        #expect(encoded(lines, as: .csv) == expected.map { $0 + "\r\n" }.joined())
    }

    @Test func textIsForReading() {
        let text = encoded([Self.line("chat", "Hello."), Self.broken, Self.late, Self.calls], as: .text)
        #expect(
            text == """
                # chat
                Hello.

                # broken
                [failed] 500: The device failed.

                # late
                [expired] batch_expired: The window expired.

                # calls
                f {}


                """)
    }
}
