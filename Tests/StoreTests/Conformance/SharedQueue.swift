// The stores that daemons of several hosts share, and a fresh queue for each test.

import MemoryStore
import PostgresStore
import Runtime
import StoreContract
import TestSupport

/// An empty queue that several stores use.
final class SharedQueue {
    /// A kind of store that has several owners.
    enum Kind: CaseIterable, Sendable {
        case memory, postgres

        /// Without PostgreSQL's programs its store is left out; `etc/test` says so.
        static var allCases: [Kind] { [.memory] + (PostgresServer.programs == nil ? [] : [.postgres]) }
    }

    private enum Place {
        case memory(MemoryQueue)
        case postgres(PostgresDatabase)
    }

    private let place: Place

    init(_ kind: Kind) throws {
        place =
            switch kind {
            case .memory: .memory(MemoryQueue(hasSeveralOwners: true))
            case .postgres: .postgres(try PostgresDatabase())
            }
    }

    /// The store of a daemon's machine and state directory.
    func store(of name: String) throws -> any ServedStore {
        switch place {
        case .memory(let queue): MemoryJobStore(queue, identity: name)
        case .postgres(let database):
            try PostgresJobStore(
                database.address, stateDirectory: "\(database.stateDirectory)/\(name)", patience: .seconds(60), at: 0)
        }
    }

    /// What a crash of the server does.
    func forgetHeartbeats() throws {
        switch place {
        case .memory(let queue): queue.forgetHeartbeats()
        case .postgres(let database): try database.execute("TRUNCATE heartbeats")
        }
    }
}
