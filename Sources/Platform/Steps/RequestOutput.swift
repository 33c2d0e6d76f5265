// The output of a step for a request; the same type from the worker to the engine's clients.

/// A chosen token. Additional outputs of a token, such as its probability, would belong here.
public struct SampledToken: Sendable, Equatable {
    /// The token's number in the vocabulary.
    public var id: Int32

    /// The token numbered `id`.
    public init(_ id: Int32) { self.id = id }
}

/// The output of a step for a request.
public enum RequestOutput: Sendable, Equatable {
    /// The next token.
    case token(SampledToken)
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
