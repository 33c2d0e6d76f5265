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

/// The key of a sequence of a request, chosen by its client; unique among the sequences in flight in an engine.
///
/// Most requests have one sequence. One that wants several choices, or has several prompts, has more.
public struct RequestID: Sendable, Hashable, CustomStringConvertible {
    /// The request's client.
    public let client: ClientID
    /// The request's number among those of its client.
    public let number: Int
    /// The sequence's place among those of the request.
    public let sequence: Int

    /// The first sequence of the request `number` of `client`, or a later one.
    public init(_ number: Int, of client: ClientID = .only, sequence: Int = 0) {
        self.number = number
        self.client = client
        self.sequence = sequence
    }

    /// The key of another sequence of the same request.
    public func sequence(_ sequence: Int) -> RequestID { RequestID(number, of: client, sequence: sequence) }

    /// `request 17`, and where it is not the only one the sequence and the client: `request 17.3 of client 2`.
    public var description: String {
        let name = sequence == 0 ? "request \(number)" : "request \(number).\(sequence)"
        return client == .only ? name : "\(name) of client \(client.rawValue)"
    }
}
