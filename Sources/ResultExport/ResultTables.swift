// Results for people and spreadsheets: CSV as in RFC 4180, and plain text.

import JSONText
import OpenAIFormats

extension OutputLine {
    static func encodeCSVHeader(into output: inout [UInt8]) {
        output.append(json: "custom_id,state,finish_reason,text,prompt_tokens,completion_tokens,total_ms,error\r\n")
    }

    /// Appends one CSV record with its CRLF. Values that the result does not have are empty.
    func encodeCSV(into output: inout [UInt8]) {
        var completion: Completion?
        if case .completed(let value) = outcome { completion = value }
        let fields = [
            customID,
            state,
            completion?.finishReason.rawValue,
            completion?.text,
            completion.map { String($0.promptTokens) },
            completion.map { String($0.completionTokens) },
            timings.map { String($0.total) },
            errorText,
        ]
        for (index, field) in fields.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if let field { output.append(csvField: field) }
        }
        output.append(json: "\r\n")
    }

    /// Appends `# <custom_id>`, the text (or the error), and an empty line.
    func encodeText(into output: inout [UInt8]) {
        output.append(json: "# ")
        output.append(contentsOf: customID.utf8.map { $0 < 0x20 ? UInt8(ascii: " ") : $0 })
        output.append(UInt8(ascii: "\n"))
        if case .completed(let completion) = outcome {
            output.append(contentsOf: completion.text.utf8)
        } else {
            output.append(contentsOf: "[\(state)] \(errorText ?? "")".utf8)
        }
        output.append(json: "\n\n")
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
    fileprivate mutating func append(csvField field: String) {
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
