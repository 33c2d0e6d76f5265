// The engines of a session, with one queue in front of them: which of them a job goes to.

import JobStore

/// The replicas of the model as the session's feeder and writer see them.
///
/// A job goes to the replica with the fewest unfinished ones, of several such to the first. One that is slow, or has got
/// long jobs, therefore gets fewer of them, and all have rows for their slots as long as there are jobs.
///
/// Replicas stop together. A device's fault ends the session: its own jobs are suspected (`Suspicion`), and those of the
/// other replicas go back without blame. The reset that puts cards in order hits every card of the host, so that none could
/// go on beside it.
struct Replicas: Sendable {
    private let commands: [Mailbox<EngineCommand>]
    private let inFlight: InFlight
    /// Jobs of one replica between claim and end, at most: while one half of them decodes, the other is ready to take freed
    /// slots.
    private let lookahead: Int

    /// - Parameters:
    ///   - commands: each engine's mailbox; `inFlight` is for as many.
    ///   - slots: rows of the device batch of each.
    init(_ commands: [Mailbox<EngineCommand>], inFlight: InFlight, slots: Int) {
        self.commands = commands
        self.inFlight = inFlight
        lookahead = 2 * slots
    }

    /// Jobs that may be claimed now: none until a replica wants a handful, so that the database is not asked for every
    /// single job.
    var room: Int {
        let rooms = inFlight.loads.map { max(0, lookahead - $0) }
        return rooms.max()! >= max(1, lookahead / 4) ? rooms.reduce(0, +) : 0
    }

    /// Generates for a job on the replica that it was given to.
    func run(_ job: PreparedJob, on replica: Int) { commands[replica].send(.run(job)) }

    /// No more tokens for a job, if it has not ended.
    func stop(_ ticket: ClaimTicket) {
        if let replica = inFlight.replica(of: ticket) { commands[replica].send(.stop(ticket)) }
    }
}
