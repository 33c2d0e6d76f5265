// How models write what is not for the reader of a text: calls of tools, and reasoning. Their chat templates show it.

/// The formats that a chat template shows; nil where it shows none that is known.
public struct AnswerFormats: Sendable, Hashable {
    /// How calls of tools are written.
    public var toolCalls: ToolCallFormat?
    /// How reasoning is marked.
    public var reasoning: ReasoningFormat?

    /// The formats that the text of a template shows.
    public init(template: String) {
        toolCalls = ToolCallFormat(template: template)
        reasoning = ReasoningFormat(template: template)
    }
}

/// How a model writes calls of tools.
public enum ToolCallFormat: String, Sendable, Hashable, CaseIterable {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, any number of them (Hermes, Qwen 2.5 and 3, SmolLM).
    case hermes
    /// `{"name": …, "parameters": {…}}` as the whole text, several separated by `;` (Llama 3).
    case llama3JSON = "llama3_json"
    /// `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, or `[TOOL_CALLS]name[ARGS]{…}` of later models.
    case mistral
    /// `[name(argument="value")]` as the whole text (Llama 4), or between marks (LFM2).
    case pythonic
    /// Calls stay text.
    case text = "none"

    /// The format that a chat template shows; nil if it shows none that is known.
    fileprivate init?(template: String) {
        if template.contains("[TOOL_CALLS]") {
            self = .mistral
        } else if ["<function=", "<arg_key>"].contains(where: template.contains) {
            // <tool_call> with XML in it.
            return nil
        } else if template.contains("<tool_call>") {
            self = .hermes
        } else if ["<|tool_call_start|>", "[func_name1("].contains(where: template.contains) {
            self = .pythonic
        } else if ["<|python_tag|>", #"{"name": function name, "parameters""#].contains(where: template.contains) {
            self = .llama3JSON
        } else {
            return nil
        }
    }

    /// What begins or separates calls. Where these are control tokens, the parser needs their text.
    public var marks: [String] {
        switch self {
        case .hermes: ["<tool_call>", "</tool_call>"]
        case .llama3JSON: ["<|python_tag|>"]
        case .mistral: ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"]
        case .pythonic: ["<|tool_call_start|>", "<|tool_call_end|>"]
        case .text: []
        }
    }
}

/// How a model marks its reasoning, which stands before the answer.
public enum ReasoningFormat: String, Sendable, Hashable, CaseIterable {
    /// `<think>…</think>` (DeepSeek R1, Qwen 3, SmolLM3 and many others).
    case think
    /// `[THINK]…[/THINK]` (Magistral).
    case mistral
    /// `<seed:think>…</seed:think>` (Seed-OSS).
    case seedOSS = "seed_oss"
    /// `<|START_THINKING|>…<|END_THINKING|>` (Command A).
    case cohere
    /// Reasoning stays text.
    case text = "none"

    /// The format that a chat template shows; nil if it shows none.
    fileprivate init?(template: String) {
        let format = Self.allCases.first { $0.marks.map { template.contains($0.end) } ?? false }
        guard let format else { return nil }
        self = format
    }

    /// What stands before and behind the reasoning; nil if nothing does.
    public var marks: (start: String, end: String)? {
        switch self {
        case .think: ("<think>", "</think>")
        case .mistral: ("[THINK]", "[/THINK]")
        case .seedOSS: ("<seed:think>", "</seed:think>")
        case .cohere: ("<|START_THINKING|>", "<|END_THINKING|>")
        case .text: nil
        }
    }
}
