// What every job store must do with models that cannot be used: count, postpone, reset, and record a load that killed
// the daemon.

import Runtime
import StoreContract
import Testing

@Suite
struct ModelTroubleConformance {
    private let backoff = Backoff(firstMS: 100, longestMS: 1000)

    private func life(_ store: any JobStore) throws -> (lease: any DaemonLease, incarnation: Incarnation) {
        let lease = try store.acquireLease()
        return (lease, try store.openIncarnation(lease: lease).incarnation)
    }

    @Test(arguments: StoreKind.allCases)
    func aBatchWhoseModelCannotBeUsedIsPutOff(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let id = try store.enqueue(2, model: "bad")
        let other = try store.enqueue(2, model: "good")
        #expect(try store.postpone(id, by: life, limit: 3, backoff: backoff, because: "gone", at: 1000) == 1)
        #expect(try store.batch(id).modelTrouble == ModelTrouble(times: 1, reason: "gone", until: 1100))
        #expect(try store.batch(other).modelTrouble == nil)
        #expect(try store.claimableBatch(among: nil, fitting: nil, for: life)?.id == other)
        #expect(try store.claim(1, of: id, incarnation: life, at: 1001).isEmpty)
        #expect(try store.nextAttempt(among: [id], for: life) == 1100)
        #expect(try store.advanceTime(to: 1100).next == nil)
        #expect(try store.claimableBatch(among: [id], fitting: nil, for: life)?.id == id)
        #expect(try store.postpone(id, by: life, limit: 3, backoff: backoff, because: "gone again", at: 1100) == 2)
        #expect(try store.batch(id).modelTrouble == ModelTrouble(times: 2, reason: "gone again", until: 1300))
        _ = try store.advanceTime(to: 1300)
        // The last time it is not postponed: its jobs are claimed, to be failed.
        #expect(try store.postpone(id, by: life, limit: 3, backoff: backoff, because: "gone", at: 1300) == 3)
        #expect(try store.batch(id).modelTrouble == ModelTrouble(times: 3, reason: "gone", until: nil))
        #expect(try store.claim(2, of: id, incarnation: life, at: 1300).count == 2)
    }

    @Test(arguments: StoreKind.allCases)
    func itIsCountedAgainstWhateverWouldHaveRunWithTheModelNow(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let first = try store.enqueue(1, model: "bad")
        let second = try store.enqueue(1, model: "bad")
        let paused = try store.enqueue(1, model: "bad")
        try store.pause(paused, at: 5)
        let any = try store.enqueue(1)
        #expect(try store.postpone(first, by: life, limit: 9, backoff: backoff, because: "gone", at: 1000) == 1)
        #expect(try [first, second, paused, any].map { try store.batch($0).modelTrouble?.times } == [1, 1, nil, nil])
        // A batch that comes later has its own count and does not raise the counts of others.
        let late = try store.enqueue(1, model: "bad")
        #expect(try store.claimableBatch(among: nil, fitting: "bad", for: life)?.id == any)
        #expect(try store.postpone(late, by: life, limit: 9, backoff: backoff, because: "gone", at: 1050) == 1)
        #expect(try store.batch(first).modelTrouble == ModelTrouble(times: 1, reason: "gone", until: 1100))
        #expect(try store.batch(late).modelTrouble?.until == 1150)
        // A batch that takes any model shares the trouble of such only.
        #expect(try store.postpone(any, by: life, limit: 9, backoff: backoff, because: "none", at: 1060) == 1)
        #expect(try store.batch(late).modelTrouble?.reason == "gone")
    }

    @Test(arguments: StoreKind.allCases)
    func theFirstJobThatSucceedsEndsTheTroubleOfAllBatchesOfTheModel(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let ids = try (0..<3).map { try store.enqueue(3, model: $0 < 2 ? "m" : "other") }
        for id in [ids[0], ids[2]] {
            try store.postpone(id, by: life, limit: 9, backoff: backoff, because: "gone", at: 1000)
        }
        _ = try store.advanceTime(to: 2000)
        let jobs = try store.claim(3, of: ids[0], incarnation: life, at: 2000)
        // Neither that it was claimed nor that a job was refused says anything about the model.
        _ = try store.finish([.failure(jobs[0])], incarnation: life, at: 2001)
        #expect(try ids.map { try store.batch($0).modelTrouble?.times } == [1, 1, 1])
        _ = try store.finish([.success(jobs[1])], incarnation: life, at: 2002)
        #expect(try ids.map { try store.batch($0).modelTrouble?.times } == [nil, nil, 1])
        try store.postpone(ids[0], by: life, limit: 9, backoff: .none, because: "gone", at: 2003)
        #expect(try store.batch(ids[0]).modelTrouble == ModelTrouble(times: 1, reason: "gone", until: nil))
    }

    @Test(arguments: StoreKind.allCases)
    func nothingIsCountedAgainstABatchThatHasEnded(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        let (lease, life) = try life(store)
        defer { lease.release() }
        let ended = try store.enqueue(1, model: "m")
        let other = try store.enqueue(1, model: "m")
        _ = try store.cancel(ended, at: 5)
        #expect(try store.postpone(ended, by: life, limit: 9, backoff: backoff, because: "lost", at: 1000) == 0)
        #expect(try store.batch(ended).modelTrouble == nil)
        #expect(try store.batch(other).modelTrouble?.times == 1, "it would have run with the model, too")
    }

    // MARK: Deaths

    /// How a life ended, and the batch whose model it was loading then.
    private struct Life {
        var loading: BatchID?
        var died = true
    }

    private func killer(after lives: [Life], _ store: any JobStore) throws -> BatchID? {
        for life in lives {
            let (lease, incarnation) = try self.life(store)
            try store.noteLoading(for: life.loading, incarnation: incarnation)
            if !life.died { try store.closeIncarnation(incarnation, at: 20) }
            lease.release()
        }
        let (lease, incarnation) = try life(store)
        defer { lease.release() }
        return try store.loadingThatKilled(before: incarnation)
    }

    @Test(arguments: StoreKind.allCases)
    func aModelIsBlamedForTheSecondDeathInARowWhileItWasLoaded(kind: StoreKind) throws {
        let lives: [(_ a: BatchID, _ sameModel: BatchID, _ other: BatchID) -> (lives: [Life], isBlamed: Bool)] = [
            { a, _, _ in ([Life(loading: a), Life(loading: a)], true) },
            { a, same, _ in ([Life(loading: same), Life(loading: a)], true) },
            { a, _, _ in ([Life(), Life(loading: a), Life(loading: a), Life(loading: a)], true) },
            { a, _, _ in ([Life(loading: a)], false) },
            { a, _, other in ([Life(loading: other), Life(loading: a)], false) },
            { a, _, _ in ([Life(loading: a), Life(loading: nil)], false) },
            { a, _, _ in ([Life(loading: a, died: false), Life(loading: a)], false) },
            { a, _, _ in ([Life(loading: a), Life(loading: a, died: false)], false) },
            { _, _, _ in ([Life(), Life()], false) },
        ]
        for make in lives {
            let fixture = try kind.make()
            let store = fixture.store
            let a = try store.enqueue(1, model: "m")
            let same = try store.enqueue(1, model: "m")
            let other = try store.enqueue(1, model: "other")
            let (lives, isBlamed) = make(a, same, other)
            #expect(try killer(after: lives, store) == (isBlamed ? a : nil), "\(lives)")
        }
    }
}
