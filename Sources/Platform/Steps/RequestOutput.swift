// What a step gives to a request. From the device to whoever made the request it is one value.

/// A token that was chosen. What is asked for beside a token belongs here.
public struct SampledToken: Sendable, Equatable {
    /// Its number in the vocabulary.
    public var id: Int32

    /// The token numbered `id`.
    public init(_ id: Int32) { self.id = id }
}

/// What a step gave to a request.
public enum RequestOutput: Sendable, Equatable {
    /// The next token.
    case token(SampledToken)
    /// The device answered, but not with a token. Nothing can be said against the other rows.
    case bad(BadOutput)

    /// The token numbered `id`.
    public static func token(_ id: Int32) -> RequestOutput { .token(SampledToken(id)) }
}

/// Why a row got no token.
public struct BadOutput: Error, Equatable {
    /// What came instead, for a person.
    public var reason: String

    /// An output that is no token because of `reason`.
    public init(_ reason: String) {
        self.reason = reason
    }
}
