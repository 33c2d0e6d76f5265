// The two OpenAI endpoints whose requests ttbatch runs.

/// What a request asks for, by the URL it would be posted to.
public enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case completions = "/v1/completions"
    case chatCompletions = "/v1/chat/completions"
}
