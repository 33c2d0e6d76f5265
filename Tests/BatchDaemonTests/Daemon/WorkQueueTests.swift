// The queue as a daemon sees it, when time alone changes it.

import Runtime
import StoreContract
import Synchronization
import Testing

@testable import BatchDaemon

@Suite struct WorkQueueTests {
    /// Found by the simulation: time was kept while a device was busy, and what that brought was not looked at afterwards.
    @Test func whatKeepingTimeBringsIsSeenByTheNextLook() throws {
        let fixture = try DaemonFixture()
        let batch = try fixture.enqueue([Prompt].some(1).lines)
        let lease = try fixture.store.acquireLease()
        defer { lease.release() }
        let life = try fixture.store.openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "v", model: "m", device: "d"), lease: lease, maxCrashes: 3, at: 9
        ).incarnation
        let now = Atomic(Int64(10))
        let queue = WorkQueue(
            store: fixture.store, life: Life(life), scope: .everything, modelTurnMS: 0,
            clock: TimeSource { Milliseconds(rawValue: now.load(ordering: .relaxed)) }, log: fixture.log)
        let job = try fixture.store.claim(1, of: batch, incarnation: life, at: 10)[0]
        _ = try fixture.store.release(
            [job.ticket], incarnation: life,
            because: .badOutput(maxBadOutputs: 3, backoff: Backoff(firstMS: 90, longestMS: 90), because: "b"), at: 10)
        guard case .later = try queue.next() else { throw Unforeseen() }
        #expect(queue.patienceMS(atMost: 1000) == 90 && queue.patienceMS(atMost: 20) == 20)
        now.store(100, ordering: .relaxed)
        try queue.advanceTimeIfDue()
        guard case .batch(let next) = try queue.next() else { throw Unforeseen() }
        #expect(next.id == batch)
    }

    private struct Unforeseen: Error {}
}
