// Divides one client's requests among the engines of a model.

package import Engine
package import Platform
package import Prompts
package import Runtime

/// A client's access to the replicas of a model.
///
/// A request goes with all its sequences to the replica with the fewest unfinished ones, and to the first of several. So a replica that is
/// slow or has long requests gets fewer, and all replicas have requests for their batch slots as long as there are any.
///
/// Replicas stop together: the reset after a fault affects every card of the host, so that no replica could continue
/// during it.
package struct Replicas<Ticket: Sendable>: Sendable {
    /// Requests that were submitted and have not ended.
    package let inFlight: InFlight<Ticket>
    private let client: ClientID
    private let commands: [Mailbox<EngineCommand>]
    /// Maximum number of requests of one replica: while half of them decode, the others are ready for freed batch
    /// slots.
    private let lookahead: Int

    /// Connects a client.
    ///
    /// - Parameters:
    ///   - commands: each engine's mailbox.
    ///   - slots: rows of the device batch of each replica.
    ///   - sink: receives the reports of each replica's engine.
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

    /// Number of requests that may be submitted now; 0 until a replica has room for several, so that the client need
    /// not poll for every single one.
    package var room: Int {
        let rooms = inFlight.loads.map { max(0, lookahead - $0) }
        return rooms.max()! >= max(1, lookahead / 4) ? rooms.reduce(0, +) : 0
    }

    /// The client's key for its request `number`.
    package func id(_ number: Int) -> RequestID { RequestID(number, of: client) }

    /// Runs a request on the replica that it was added to.
    package func run(
        _ id: RequestID, _ request: PreparedRequest, priority: RequestPriority = .batch, on replica: Int
    ) {
        commands[replica].send(.run(id, request, priority))
    }

    /// Cancels a request, if it has not ended.
    package func cancel(_ id: RequestID) {
        guard let place = inFlight.place(of: id) else { return }
        for sequence in 0..<place.sequences { commands[place.replica].send(.cancel(id.sequence(sequence))) }
    }

    /// Cancels one sequence of a request, if the request has not ended.
    package func cancel(sequence id: RequestID) {
        guard let place = inFlight.place(of: id.sequence(0)) else { return }
        commands[place.replica].send(.cancel(id))
    }
}
