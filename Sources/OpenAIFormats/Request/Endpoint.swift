// The two OpenAI endpoints whose requests ttbatch runs.

/// The kind of a request, by the URL to which it would be posted.
public enum Endpoint: String, Sendable, Hashable, CaseIterable {
    case completions = "/v1/completions"
    case chatCompletions = "/v1/chat/completions"
}
