// Results for people and spreadsheets: CSV as in RFC 4180, and plain text.

import JSONText
import OpenAIFormats

extension OutputLine {
    static func encodeCSVHeader(into output: inout [UInt8]) {
        output.append(
            json:
                "custom_id,state,finish_reason,text,prompt_tokens,completion_tokens,total_ms,error,reasoning,tool_calls\r\n"
        )
    }

    /// Appends a CSV record with its CRLF, or one for each text if there are several. Values that the result does not have
    /// are empty, and so are the request's numbers in all records but its first.
    func encodeCSV(into output: inout [UInt8]) {
        guard case .completed(let completion) = outcome else {
            return output.append(csvRecord: [customID, state, nil, nil, nil, nil, total, errorText, nil, nil])
        }
        for (index, choice) in completion.choices.enumerated() {
            let numbers =
                index == 0
                ? [String(completion.promptTokens), String(completion.completionTokens), total] : [nil, nil, nil]
            output.append(
                csvRecord: [customID, state, choice.finishReason.rawValue, choice.text] + numbers
                    + [nil, choice.reasoning, choice.toolCalls.isEmpty ? nil : choice.toolCalls.json])
        }
    }

    private var total: String? { timings.map { String($0.total) } }

    /// Appends `# <custom_id>`, the text (or the error), and an empty line; further texts follow under
    /// `# <custom_id> [1]`, `[2]` …
    func encodeText(into output: inout [UInt8]) {
        var texts = ["[\(state)] \(errorText ?? "")"]
        if case .completed(let completion) = outcome { texts = completion.choices.map(\.shown) }
        for (index, text) in texts.enumerated() {
            output.append(json: "# ")
            output.append(contentsOf: customID.utf8.map { $0 < 0x20 ? UInt8(ascii: " ") : $0 })
            if index > 0 { output.append(contentsOf: " [\(index)]".utf8) }
            output.append(UInt8(ascii: "\n"))
            output.append(contentsOf: text.utf8)
            output.append(json: "\n\n")
        }
    }

    /// The job's final state: succeeded, failed, cancelled or expired.
    private var state: String {
        switch outcome {
        case .completed: "succeeded"
        case .refused, .notRun(.failed, _): "failed"
        case .notRun(.cancelled, _): "cancelled"
        case .notRun(.expired, _): "expired"
        }
    }

    /// `code: message` of a request without a text.
    private var errorText: String? {
        switch outcome {
        case .completed: nil
        case .refused(let refusal): "\(refusal.code ?? String(refusal.status)): \(refusal.message)"
        case .notRun(let reason, let message): "\(reason.rawValue): \(message)"
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(csvRecord fields: [String?]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { append(UInt8(ascii: ",")) }
            if let field { append(csvField: field) }
        }
        append(json: "\r\n")
    }

    private mutating func append(csvField field: String) {
        let needsQuotes = field.utf8.contains { byte in
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n")
                || byte == UInt8(ascii: "\r")
        }
        guard needsQuotes else {
            append(contentsOf: field.utf8)
            return
        }
        append(UInt8(ascii: "\""))
        for byte in field.utf8 {
            if byte == UInt8(ascii: "\"") { append(byte) }
            append(byte)
        }
        append(UInt8(ascii: "\""))
    }
}

extension Completion.Choice {
    /// The text, and under it each call of a tool in a line.
    fileprivate var shown: String {
        let calls = toolCalls.map { "\($0.name) \($0.arguments)" }
        return (text.isEmpty && !calls.isEmpty ? calls : [text] + calls).joined(separator: "\n")
    }
}
