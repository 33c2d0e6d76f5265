// The output of a step for a request; the same type from the worker to the engine's clients.

public import Sampling

/// The output of a step for a request.
public enum RequestOutput: Sendable, Equatable {
    /// The next token.
    case token(SampledToken)
    /// The request wants no token, only the logprobs of its prompt.
    case nothing
    /// What the request allows leaves no token, for this reason.
    case noToken(String)
    /// The device returned something else than a token. The other rows are not affected.
    case bad(BadOutput)

    /// The token numbered `id`.
    public static func token(_ id: Int32) -> RequestOutput { .token(SampledToken(id)) }
}

/// Why a row got no token.
public struct BadOutput: Error, Equatable {
    /// What the device returned instead, for the operator.
    public var reason: String

    /// A bad output, described by `reason`.
    public init(_ reason: String) {
        self.reason = reason
    }
}

/// What a step gave its requests.
public struct StepResult: Sendable, Equatable {
    /// One output for each row of the step, in their order; those of forks follow that of their row.
    public var outputs: [RequestOutput]
    /// The logprobs of the prompts for which they were wanted, from the first wanted token on.
    public var promptLogprobs: [RequestID: [TokenLogprobs]]

    /// A result with these outputs.
    public init(_ outputs: [RequestOutput], promptLogprobs: [RequestID: [TokenLogprobs]] = [:]) {
        self.outputs = outputs
        self.promptLogprobs = promptLogprobs
    }
}
