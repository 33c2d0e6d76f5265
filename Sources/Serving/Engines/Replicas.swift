// The engines of a model as one client sees them, with one queue in front of them: which of them a request goes to.

package import Platform
package import Runtime

/// A client's way to the replicas of a model.
///
/// A request goes to the replica with the fewest unfinished ones, of several such to the first. One that is slow, or has got
/// long requests, therefore gets fewer of them, and all have rows for their slots as long as there are requests.
///
/// Replicas stop together: the reset that puts cards in order after a fault hits every card of the host, so that none could
/// go on beside it.
package struct Replicas<Ticket: Sendable>: Sendable {
    /// What has been submitted and has not ended.
    package let inFlight: InFlight<Ticket>
    private let client: ClientID
    private let commands: [Mailbox<EngineCommand>]
    /// Requests of one replica at most: while one half of them decodes, the other is ready to take freed slots.
    private let lookahead: Int

    /// Connects a client.
    ///
    /// - Parameters:
    ///   - commands: each engine's mailbox.
    ///   - slots: rows of the device batch of each.
    ///   - sink: takes what the engine of a replica tells.
    package init(
        _ commands: [Mailbox<EngineCommand>], slots: Int, client: ClientID,
        sink: @escaping @Sendable (EngineReport, Replica) -> Void
    ) {
        inFlight = InFlight(replicas: commands.count)
        self.client = client
        self.commands = commands
        lookahead = 2 * slots
        for (mailbox, replica) in zip(commands, Replica.all(commands.count)) {
            mailbox.send(.connect(client, { sink($0, replica) }))
        }
    }

    /// Requests that may be submitted now: none until a replica wants a handful, so that the client need not look for every
    /// single one.
    package var room: Int {
        let rooms = inFlight.loads.map { max(0, lookahead - $0) }
        return rooms.max()! >= max(1, lookahead / 4) ? rooms.reduce(0, +) : 0
    }

    /// The client's key for its request `number`.
    package func id(_ number: Int) -> RequestID { RequestID(number, of: client) }

    /// Generates for a request on the replica that it was given to.
    package func run(_ request: ServingRequest, on replica: Int) { commands[replica].send(.run(request)) }

    /// No more tokens for a request, if it has not ended.
    package func cancel(_ id: RequestID) {
        if let replica = inFlight.replica(of: id) { commands[replica].send(.cancel(id)) }
    }
}
