// Finds the calls of tools in a text. What cannot be read as calls stays text, and is said.

import JSONText
import ModelFiles
import OpenAIFormats

/// Reads calls of tools.
enum ToolCallReader {
    /// A reason why a text is no call.
    struct Fault: Error {
        let reason: String
    }

    /// Moves the calls out of an answer's text; leaves it as it is if one of them cannot be read.
    static func read(_ format: ToolCallFormat, _ answer: inout Answer) {
        do throws(Fault) {
            guard let (calls, rest) = try calls(format, answer.text) else { return }
            answer.toolCalls = calls
            answer.text = rest
        } catch {
            answer.unread = error.reason
        }
    }

    /// The same for a text that a grammar has made.
    static func readForced(_ rules: AnswerRules.Calls, _ answer: inout Answer) {
        do throws(Fault) {
            switch (rules, try value(answer.text[...])) {
            case (.named(let name), .object): answer.toolCalls = [ToolCall(name: name, arguments: answer.text)]
            case (.required, .array(let elements)):
                answer.toolCalls = try elements.map { element throws(Fault) in try call(element) }
            default: throw Fault(reason: "the text is no call")
            }
            answer.text = ""
        } catch {
            answer.unread = error.reason
        }
    }

    /// The calls in `text` and what else it says; nil if it has none.
    private static func calls(
        _ format: ToolCallFormat, _ text: String
    ) throws(Fault) -> (calls: [ToolCall], rest: String)? {
        switch format {
        case .hermes: try hermes(text)
        case .llama3JSON: try llama3(text)
        case .mistral: try mistral(text)
        case .pythonic: try pythonic(text)
        case .text: nil
        }
    }

    private static func hermes(_ text: String) throws(Fault) -> ([ToolCall], String)? {
        var (calls, rest, remaining) = ([ToolCall](), "", text[...])
        while let start = remaining.utf8.firstRange(of: "<tool_call>".utf8) {
            rest += remaining[..<start.lowerBound]
            remaining = remaining[start.upperBound...]
            // The end mark is missing where it is what ended the text.
            let end = remaining.utf8.firstRange(of: "</tool_call>".utf8)
            calls.append(try call(try value(remaining[..<(end?.lowerBound ?? remaining.endIndex)])))
            remaining = end.map { remaining[$0.upperBound...] } ?? ""
        }
        return calls.isEmpty ? nil : (calls, trimmed(rest + remaining))
    }

    private static func llama3(_ text: String) throws(Fault) -> ([ToolCall], String)? {
        let mark = "<|python_tag|>"
        var (calls, rest, remaining, attempts) = ([ToolCall](), "", text[...], 0)
        // An object that is no call is text; one that seems to be a call and cannot be read makes all of them text.
        while let start = remaining.utf8.firstIndex(of: UInt8(ascii: "{")), attempts < mostObjects {
            attempts += 1
            let object = jsonPrefix(of: remaining[start...])
            guard let value = try? value(object), value["parameters"] != nil || value["arguments"] != nil else {
                if looksLikeCall(object) { throw Fault(reason: "a call is no JSON object with name and parameters") }
                rest += remaining[...start]
                remaining = remaining[remaining.utf8.index(after: start)...]
                continue
            }
            rest += remaining[..<start]
            calls.append(try call(value))
            remaining = remaining[object.endIndex...]
            let behind = remaining.drop(while: \.isWhitespace)
            if behind.first == ";" { remaining = behind.dropFirst() }
        }
        rest += remaining
        if calls.isEmpty, rest.utf8.firstRange(of: mark.utf8) != nil { throw Fault(reason: "a call is no JSON object") }
        return calls.isEmpty ? nil : (calls, trimmed(rest.replacing(mark, with: "")))
    }

    /// Objects in a text that are looked at; more would be no calls.
    private static let mostObjects = 200

    private static func looksLikeCall(_ object: Substring) -> Bool {
        let inside = object.dropFirst().drop(while: \.isWhitespace)
        return inside.hasPrefix("\"name\"") && object.contains("\"parameters\"")
    }

    private static func mistral(_ text: String) throws(Fault) -> ([ToolCall], String)? {
        guard let start = text.utf8.firstRange(of: "[TOOL_CALLS]".utf8) else { return nil }
        var (calls, rest) = ([ToolCall](), String(text[..<start.lowerBound]))
        // Later models write the mark before each call.
        for part in text[start.upperBound...].split(separator: "[TOOL_CALLS]", omittingEmptySubsequences: false) {
            let part = part.drop(while: \.isWhitespace)
            if part.hasPrefix("["), !part.hasPrefix("[ARGS]"), !part.hasPrefix("[CALL_ID]") {
                let list = jsonPrefix(of: part)
                guard case .array(let elements) = try value(list), !elements.isEmpty else {
                    throw Fault(reason: "the list of calls is empty")
                }
                for element in elements { calls.append(try call(element)) }
                rest += part[list.endIndex...]
            } else {
                let name = part.prefix { $0 != "[" && $0 != "{" }
                guard let open = part.firstIndex(of: "{") else { throw Fault(reason: "a call has no arguments") }
                let object = jsonPrefix(of: part[open...])
                calls.append(try call(name: trimmed(name), try value(object)))
                rest += part[object.endIndex...]
            }
        }
        return (calls, trimmed(rest))
    }

    private static func pythonic(_ text: String) throws(Fault) -> ([ToolCall], String)? {
        var (calls, rest, remaining, isMarked) = ([ToolCall](), "", text[...], false)
        while let start = remaining.utf8.firstRange(of: "<|tool_call_start|>".utf8) {
            isMarked = true
            rest += remaining[..<start.lowerBound]
            let inside = remaining[start.upperBound...]
            let end = inside.utf8.firstRange(of: "<|tool_call_end|>".utf8)
            let list = inside[..<(end?.lowerBound ?? inside.endIndex)]
            // An empty list is how some models say that they call nothing.
            if trimmed(list).filter({ !$0.isWhitespace }) != "[]" { calls += try PythonicCalls.read(list) }
            remaining = end.map { inside[$0.upperBound...] } ?? ""
        }
        if isMarked { return (calls, trimmed(rest + remaining)) }
        let whole = trimmed(text)
        guard PythonicCalls.begin(whole) else { return nil }
        return (try PythonicCalls.read(whole[...]), "")
    }

    // MARK: Parts

    /// A call in the form `{"name": …, "arguments": {…}}`, or with `parameters`.
    private static func call(_ value: JSONValue) throws(Fault) -> ToolCall {
        guard case .object = value else { throw Fault(reason: "a call is no JSON object") }
        guard case .string(let name)? = value["name"] else { throw Fault(reason: "a call has no name") }
        return try call(name: name, value["arguments"] ?? value["parameters"] ?? .object([]))
    }

    private static func call(name: String, _ arguments: JSONValue) throws(Fault) -> ToolCall {
        guard !name.isEmpty else { throw Fault(reason: "a call has no name") }
        if case .object = arguments { return ToolCall(name: name, arguments: arguments) }
        if case .string(let text) = arguments, case .object = try value(text[...]) {
            return ToolCall(name: name, arguments: text)
        }
        throw Fault(reason: "the arguments of \(Excerpt.quoted(name)) are no JSON object")
    }

    private static func value(_ text: Substring) throws(Fault) -> JSONValue {
        do { return try JSONValue(parsing: Array(trimmed(text).utf8)) } catch {
            throw Fault(reason: "a call is no JSON: \(error)")
        }
    }

    /// The JSON object or array that `text` begins with, by its brackets; all of it if they are not closed.
    private static func jsonPrefix(of text: Substring) -> Substring {
        var (depth, isInString, isEscaped) = (0, false, false)
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth <= 0 { return text[...index] }
            default: break
            }
        }
        return text
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let start = text.drop(while: \.isWhitespace)
        return start.lastIndex { !$0.isWhitespace }.map { String(start[...$0]) } ?? ""
    }
}
