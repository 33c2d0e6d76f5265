// How requests are identified in an engine.

/// A client of an engine. The engine reports to each client on the client's own requests.
public struct ClientID: Sendable, Hashable {
    /// The number.
    public let rawValue: Int

    /// The client numbered `rawValue`.
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// The client of an engine that has one only.
    public static let only = ClientID(0)
}

/// A request's key, chosen by its client; unique among the requests in flight in an engine.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
    /// The request's client.
    public let client: ClientID
    /// The request's number among those of its client.
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
