// The output of a step for a request; the same type from the worker to the engine's clients.

public import Sampling

/// The output of a step for a request.
public enum RequestOutput: Sendable, Equatable {
    /// The next token.
    case token(SampledToken)
    /// What the request allows leaves no token.
    case noToken
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
