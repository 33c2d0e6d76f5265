// Where two results of a prompt differ, and what made them.

import StoreContract
import Terminal

/// A result and that of another run of the same prompt.
struct RerunComparison {
    /// The result of the second run.
    let again: JobResult
    /// Where the results differ, one line each; empty if they are identical.
    let differences: [String]
    private let texts: Int
    private let tokens: Int

    /// Compares two results, which have succeeded.
    init(_ original: JobResult, _ again: JobResult) {
        self.again = again
        guard case .succeeded(let first) = original.outcome, case .succeeded(let second) = again.outcome else {
            preconditionFailure("only results with texts are compared")
        }
        texts = second.choices.count
        tokens = again.usage.completionTokens
        var differences: [String] = []
        func compare(_ what: String, _ one: String?, _ other: String?) {
            // Byte by byte: for Swift, é and e with an accent are equal.
            if one.map({ Array($0.utf8) }) != other.map({ Array($0.utf8) }) {
                differences.append("\(what): \(Self.divergence(one, other))")
            }
        }
        compare("prompt tokens", "\(original.usage.promptTokens)", "\(again.usage.promptTokens)")
        compare("tokens", "\(original.usage.completionTokens)", "\(again.usage.completionTokens)")
        if let seed = first.seed { compare("seed", "\(seed)", second.seed.map { "\($0)" }) }
        compare("texts", "\(first.choices.count)", "\(second.choices.count)")
        for (index, (one, other)) in zip(first.choices, second.choices).enumerated() {
            let place = first.choices.count > 1 ? "[\(index)]" : ""
            for (name, value) in Self.texts { compare(name + place, value(one), value(other)) }
            let arrays = [
                ("token_ids", one.tokenIDs == other.tokenIDs),
                ("prompt_token_ids", one.promptTokenIDs == other.promptTokenIDs),
                ("logprobs", one.logprobs == other.logprobs),
                ("prompt_logprobs", one.promptLogprobs == other.promptLogprobs),
            ]
            for (name, isEqual) in arrays where !isEqual { differences.append("\(name)\(place): differ") }
        }
        self.differences = differences
    }

    /// What a text has, by names, as texts.
    private static let texts: [(String, @Sendable (Choice) -> String?)] = [
        ("text", \.text), ("reasoning", \.reasoning), ("tool_calls", \.toolCalls), ("unread", \.unread),
        ("scores", \.scores), ("confidence", \.confidence), ("finish_reason", \.finishReason),
        ("structured", { $0.isComplete.map { $0 ? "complete" : "incomplete" } }),
        ("stop_reason", { $0.stopReason.map { "\($0)" } }),
    ]

    /// One line.
    var verdict: String {
        differences.isEmpty
            ? "identical: \(texts) text\(texts == 1 ? "" : "s") of \(tokens) token\(tokens == 1 ? "" : "s")"
            : "not identical"
    }

    /// What made a result, one line each.
    static func record(of result: JobResult, _ system: SystemRecord?) -> [String] {
        guard case .succeeded(let generation) = result.outcome, let fingerprint = generation.fingerprint else {
            return ["not recorded: an earlier version made this result, or the model's files could not be read"]
        }
        let members = (system?.members ?? [:]).sorted { $0.key < $1.key }
        return ["seed: \(generation.seed.map { "\($0)" } ?? "")", "fingerprint: \(fingerprint)"]
            + members.map { "\($0.key): \($0.value)" }
    }

    /// Where the systems that made two results differ, one line each.
    static func differences(_ original: SystemRecord?, _ again: SystemRecord?) -> [String] {
        guard let original, let again else {
            return ["what made the \(original == nil ? "first" : "second") result is not recorded"]
        }
        return Set(original.members.keys).union(again.members.keys).sorted().compactMap { key in
            let (before, now) = (original.members[key], again.members[key])
            return before == now ? nil : "made with another \(key): \(before ?? "default"), now \(now ?? "default")"
        }
    }

    /// Both texts from shortly before their first difference.
    private static func divergence(_ one: String?, _ other: String?) -> String {
        let same = zip((one ?? "").unicodeScalars, (other ?? "").unicodeScalars).prefix { $0 == $1 }.count
        func part(_ text: String?) -> String {
            guard let text else { return "none" }
            let rest = text.unicodeScalars.dropFirst(max(0, same - 10))
            return "\"\(String(String.UnicodeScalarView(rest.prefix(40))))\"\(rest.count > 40 ? " …" : "")"
        }
        return "\(part(one)), now \(part(other))" + (same > 0 ? ", after \(same) equal characters" : "")
    }
}
