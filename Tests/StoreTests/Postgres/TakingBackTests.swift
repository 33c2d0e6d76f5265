// Who takes jobs back from the dead does not wait for what others have locked: it would be silent itself meanwhile.

import PostgresClient
import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@Suite("Taking back from the dead", .enabled(if: PostgresServer.programs != nil))
struct TakingBackTests {
    private let database: PostgresDatabase

    init() throws { database = try PostgresDatabase() }

    private func host(_ name: String) throws -> (store: PostgresJobStore, lease: any DaemonLease, life: Incarnation) {
        let store = try PostgresJobStore(
            database.address, stateDirectory: "\(database.stateDirectory)/\(name)", patience: .seconds(60), at: 0)
        let lease = try store.acquireLease()
        return (store, lease, try store.openIncarnation(lease: lease, at: 0).incarnation)
    }

    @Test func aBatchThatIsLockedIsForTheNextTime() throws {
        let (first, second, judge) = (try host("first"), try host("second"), try host("judge"))
        let (locked, free) = (try first.store.enqueue(2), try first.store.enqueue(2))
        #expect(try first.store.claim(2, of: locked, incarnation: first.life, at: 1).count == 2)
        #expect(try second.store.claim(2, of: free, incarnation: second.life, at: 1).count == 2)
        for now in [400, 800, 1200] as [Milliseconds] {
            _ = try judge.store.renew(judge.life, within: 1000, at: now)
        }
        func reap() throws -> [Incarnation] {
            try judge.store.reapDead(by: judge.life, within: 1000, maxCrashes: 3, at: 1200).map(\.incarnation)
        }
        var other = try PostgresConnection.connect(to: database.address, for: "tests", patience: .seconds(60))
        try other.execute("BEGIN; SELECT FROM counters WHERE batch_id = \(locked.rawValue) FOR UPDATE")
        #expect(try reap() == [second.life])
        try other.execute("ROLLBACK")
        #expect(try reap() == [first.life])
    }
}
