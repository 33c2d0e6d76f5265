// The names that requests have in an engine: those who make them choose.

/// Who makes requests of an engine, which tells each client of its own requests.
public struct ClientID: Sendable, Hashable {
    /// The number.
    public let rawValue: Int

    /// The client numbered `rawValue`.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// The one that there is where an engine has no more.
    public static let only = ClientID(0)
}

/// A request's key, chosen by its client. No two requests that are in flight in an engine have the same.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
    /// Whose request it is.
    public let client: ClientID
    /// Which of the client's requests it is.
    public let number: Int

    /// The request `number` of `client`.
    public init(_ number: Int, of client: ClientID = .only) {
        self.number = number
        self.client = client
    }

    /// `request 17`, and where it is not the only one the client: `request 17 of client 2`.
    public var description: String {
        client == .only ? "request \(number)" : "request \(number) of client \(client.rawValue)"
    }
}
