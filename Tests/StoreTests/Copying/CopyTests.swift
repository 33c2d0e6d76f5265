// A queue is copied as a whole, from each kind of store into each: all that can be read is the same, and work goes on there.

import Foundation
import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@testable import SQLiteStore

/// One end of a copy.
struct CopyEnd {
    let store: any ServedStore
    let queue: any CopyableQueue
    let kind: StoreKind
    let postgres: PostgresDatabase?
    let folder: TemporaryFolder

    /// Kinds that can be copied.
    static var kinds: [StoreKind] { StoreKind.allCases.filter { $0 != .memory } }

    /// A new, empty queue.
    init(_ kind: StoreKind) throws {
        self.kind = kind
        folder = try TemporaryFolder()
        if kind == .postgres {
            let database = try PostgresDatabase()
            store = try PostgresJobStore(
                database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
            (queue, postgres) = (PostgresCopyableQueue(database.address), database)
        } else {
            let store = try SQLiteJobStore(path: folder.file("jobs.db"), at: 0)
            (self.store, queue, postgres) = (store, store, nil)
        }
    }

    /// Nobody was heard of for long.
    func silence() throws { try postgres?.execute("UPDATE heartbeats SET seen_ms = 0") }

    @discardableResult
    func copy(to other: CopyEnd) throws -> QueueCopyReport {
        try queue.withRows { try other.queue.fill(from: $0, at: 14_000) }
    }

    /// A new queue with everything of this one.
    @discardableResult
    func copied(to kind: StoreKind) throws -> CopyEnd {
        let copy = try CopyEnd(kind)
        try self.copy(to: copy)
        return copy
    }

    /// Runs the queue to its end as a daemon would; returns what was claimed.
    func drain() throws -> [String] {
        let lease = try store.acquireLease()
        let life = try store.openIncarnation(lease: lease, at: 20_000).incarnation
        if let store = store as? PostgresJobStore {
            _ = try store.reapDead(by: life, within: 1_000, maxCrashes: 3, at: 20_000)
        }
        try store.resume(nil)
        for batch in try store.batches(before: nil, limit: 1000, includingDrafts: false) where batch.paused != nil {
            try store.resume(batch.id)
        }
        var (claims, now) = ([String](), Milliseconds(rawValue: 20_000))
        while true {
            let jobs = try store.claimNext(4, incarnation: life, at: now)
            claims += jobs.map {
                "\($0.ticket.batch) \($0.line) \($0.customID) \($0.ticket.attempt) \($0.crashes) \($0.promptTime as Any) "
                    + String(decoding: $0.body, as: UTF8.self)
            }
            _ = try store.finish(jobs.map { .success($0) }, incarnation: life, at: now)
            if jobs.isEmpty {
                guard let next = try store.nextAttempt(among: nil) else { break }
                now = max(next, now)
            }
        }
        try store.closeIncarnation(life, at: now)
        lease.release()
        return claims
    }
}

@Suite("Copies of queues")
struct CopyTests {
    @Test(arguments: CopyEnd.kinds, CopyEnd.kinds)
    func everythingIsCopiedAndWorkGoesOn(from kind: StoreKind, to other: StoreKind) throws {
        let original = try CopyEnd(kind)
        let full = try FullQueue(original.store)
        try original.store.pause(nil, at: 13_500)
        try original.silence()
        let copy = try original.copied(to: other)
        let back = try copy.copied(to: kind)
        let expected = try QueueSnapshot(of: original.store)
        #expect(expected.status.runningJobs == 4 && expected.batches.count == 14 && expected.submissions.count == 1)
        for end in [copy, back] {
            let found = try QueueSnapshot(of: end.store)
            found.expectEqual(expected)
            try end.checkFile()
        }
        // Numbers go on behind the last ones that were given.
        let batch = NewBatch(name: "new")
        let new = try [original, copy, back].map { try $0.store.enqueue(1, batch, at: 15_000) }
        #expect(Set(new).count == 1 && new[0] > full.deleted)
        let claims = try [original, copy, back].map { try $0.drain() }
        #expect(claims[0].count > 20)
        #expect(claims[1] == claims[0] && claims[2] == claims[0])
        let ends = try [original, copy, back].map { try QueueSnapshot(of: $0.store) }
        for end in ends {
            end.expectEqual(ends[0])
            #expect(end.batches.allSatisfy { $0.summary.status.isTerminal || $0.summary.isDraft })
        }
        for end in [copy, back] { try end.checkFile() }
    }

    /// A random schedule begins in one store and goes on in others; its model notices what a copy has changed.
    @Test(arguments: [UInt64(1), 2])
    func aRandomScheduleGoesOnInTheCopy(seed: UInt64) throws {
        var end = try CopyEnd(.sqlite)
        var ends = [end]
        var schedule = try Schedule(store: end.store, seed: seed)
        for kind in CopyEnd.kinds.reversed() + CopyEnd.kinds {
            for _ in 0..<400 { try schedule.step() }
            let old = end
            end = try CopyEnd(kind)
            ends.append(end)
            try schedule.move(to: end.store) {
                try old.silence()
                try old.copy(to: end)
            }
            try schedule.check()
        }
        for _ in 0..<400 { try schedule.step() }
        try schedule.check()
    }

    /// Jobs that were not appended in the order of their lines are claimed in another one: the first ones may be left.
    @Test(arguments: CopyEnd.kinds)
    func noJobIsLeftOutWhateverItsLine(kind: StoreKind) throws {
        let original = try CopyEnd(.sqlite)
        let draft = try original.store.beginBatch(NewBatch(name: "n"), at: 1)
        for line in [Int64(5), 4, 3, 2, 1] {
            var job = NewJob.sample(line)
            job.claimRank = 7
            _ = try draft.append([job])
        }
        let batch = try draft.commit(at: 2)
        let lease = try original.store.acquireLease()
        let life = try original.store.openIncarnation(lease: lease).incarnation
        let jobs = try original.store.claim(3, of: batch, incarnation: life, at: 11)
        #expect(jobs.map(\.line) == [5, 4, 3])
        try original.store.release([jobs[1].ticket], incarnation: life, because: .stopping, at: 12)
        _ = try original.store.finish([.success(jobs[0]), .success(jobs[2])], incarnation: life, at: 13)
        try original.store.closeIncarnation(life, at: 14)
        lease.release()
        let copy = try original.copied(to: kind)
        #expect(try copy.drain().count == 3)
        #expect(try copy.store.batch(batch).status == .completed)
    }

    @Test(arguments: CopyEnd.kinds)
    func aTargetThatHasSomethingIsRefused(kind: StoreKind) throws {
        let original = try CopyEnd(.sqlite)
        let target = try CopyEnd(kind)
        _ = try original.store.enqueue(1)
        _ = try target.store.enqueue(2)
        let refusal = QueueCopyRefusal.notEmpty(target.queue.location, has: "1 batches")
        #expect(refusal.description.contains("is not empty, it has 1 batches"))
        #expect(throws: refusal) { try original.copy(to: target) }
        #expect(try target.store.batches(before: nil, limit: 9, includingDrafts: true).count == 1)
    }

    /// A database without tables is no queue, and can be made one.
    @Test(.enabled(if: PostgresServer.programs != nil))
    func aNewDatabaseIsFilled() throws {
        let (original, target) = (try CopyEnd(.sqlite), try CopyEnd(.postgres))
        let batch = try original.store.enqueue(2)
        try target.postgres?.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        #expect(throws: JobStoreError.notFound(path: target.queue.location)) { try target.copied(to: .sqlite) }
        try original.copy(to: target)
        #expect(try target.store.batch(batch).counts.pending == 2)
    }

    /// Also a draft that is abandoned is no reason: it is left out.
    @Test(arguments: CopyEnd.kinds)
    func whoWritesABatchIsWaitedFor(kind: StoreKind) throws {
        let original = try CopyEnd(kind)
        let kept = try original.store.enqueue(1)
        var draft: (any BatchDraft)? = try original.store.beginBatch(NewBatch(name: "n"), at: 1)
        _ = try draft?.append([.sample(1)])
        let id = try #require(draft?.id)
        #expect(throws: JobStoreError.batchIsDraft(id)) { try original.copied(to: .sqlite) }
        draft = nil
        // The server notices the end of a session a little later.
        for _ in 0..<500 where (try? original.queue.withRows { _ in }) == nil { usleep(10_000) }
        let copy = try original.copied(to: .sqlite)
        #expect(try copy.store.batches(before: nil, limit: 9, includingDrafts: true).map(\.id) == [kept])
    }

    @Test(arguments: CopyEnd.kinds)
    func aDaemonThatRunsIsNamed(kind: StoreKind) throws {
        let original = try CopyEnd(kind)
        let lease = try original.store.acquireLease()
        let life = try original.store.openIncarnation(lease: lease, at: TimeSource.system.now).incarnation
        do {
            try original.copied(to: .sqlite)
            Issue.record("copied while a daemon runs")
        } catch let refusal as QueueCopyRefusal {
            #expect(kind == .postgres && refusal.description.contains("process 1 on h, heard of 0 s ago"))
        } catch JobStoreError.daemonRunning(_, let pid, _) {
            #expect(kind == .sqlite && pid == getpid())
        }
        try original.store.closeIncarnation(life, at: TimeSource.system.now)
        lease.release()
        try original.copied(to: .sqlite)
    }

    /// What others want to write waits, and is refused if it takes too long.
    @Test(arguments: CopyEnd.kinds)
    func nobodyWritesMeanwhile(kind: StoreKind) throws {
        let original = try CopyEnd(kind)
        _ = try original.store.enqueue(1)
        let writer: any ServedStore =
            if let address = original.postgres?.address {
                try PostgresJobStore(
                    address, stateDirectory: original.folder.file("other"), patience: .milliseconds(500), at: 0)
            } else {
                try SQLiteJobStore(path: original.store.location, options: .impatient, at: 0)
            }
        try original.queue.withRows { _ in
            #expect(throws: JobStoreError.busy(path: original.queue.location)) { try writer.pause(nil, at: 5) }
            let paused = try writer.pausedSince()
            #expect(paused == nil)
        }
        try writer.pause(nil, at: 6)
    }

    /// A source that ends in the middle, at each of its rows: there is nothing then, and the next copy finds an empty target.
    @Test(arguments: CopyEnd.kinds)
    func aCopyThatWasGivenUpHasLeftNothing(kind: StoreKind) throws {
        let original = try CopyEnd(.sqlite)
        _ = try FullQueue(original.store)
        let target = try CopyEnd(kind)
        var rows = 0
        while true {
            do {
                _ = try original.queue.withRows { source in
                    try target.queue.fill(from: EndingRows(source, after: rows), at: 9)
                }
                break
            } catch let error as JobStoreError {
                #expect(error == EndingRows.end, "after \(rows) rows: \(error)")
            }
            let left = try target.store.batches(before: nil, limit: 9, includingDrafts: true)
            #expect(left.isEmpty, "after \(rows) rows")
            let others = try (target.store.keys().count, target.store.incarnations(limit: 1).count)
            #expect(others == (0, 0))
            rows += kind == .postgres ? 17 : 7
        }
        #expect(rows > 90)
        try QueueSnapshot(of: target.store).expectEqual(QueueSnapshot(of: original.store))
    }

    /// Whatever message is the last that comes through, the target has all or nothing.
    @Test(.enabled(if: PostgresServer.programs != nil), arguments: PostgresProxy.Cut.allCases)
    func aLostConnectionLeavesAllOrNothing(cut: PostgresProxy.Cut) throws {
        let original = try CopyEnd(.sqlite)
        _ = try FullQueue(original.store)
        let expected = try QueueSnapshot(of: original.store)
        var (messages, wasCut, complete) = (1, true, 0)
        while wasCut {
            let target = try CopyEnd(.postgres)
            let database = try #require(target.postgres)
            let proxy = try PostgresProxy(for: database.socketFolder, cut, behind: messages)
            defer { proxy.end() }
            let queue = PostgresCopyableQueue(try database.address(by: proxy.folder))
            let isDone = (try? original.queue.withRows { try queue.fill(from: $0, at: 14_000) }) != nil
            wasCut = proxy.hasCut
            #expect(isDone != wasCut || isDone, "message \(messages)")
            // The server may still be at it.
            let batches = try target.store.batches(before: nil, limit: 99, includingDrafts: true)
            if !batches.isEmpty {
                complete += 1
                try QueueSnapshot(of: target.store).expectEqual(expected)
            } else {
                #expect(!isDone)
            }
            messages += 7
        }
        #expect(messages > 50 && complete >= 1)
    }

    /// Texts that are missing, and a result that was deleted by hand.
    @Test func countersThatDoNotAddUpAreFound() throws {
        let original = try CopyEnd(.sqlite)
        _ = try FullQueue(original.store)
        let target = try CopyEnd(.sqlite)
        #expect(throws: QueueCopyRefusal.doesNotAddUp(original.store.location)) {
            try original.queue.withRows {
                try target.queue.fill(from: EndingRows($0, after: .max, without: .choices), at: 9)
            }
        }
        let file = try #require(original.store as? SQLiteJobStore)
        try file.write { _ = try $0.run("DELETE FROM job_results WHERE text IS NOT NULL AND further_choices = 0") }
        #expect(throws: QueueCopyRefusal.doesNotAddUp(original.store.location)) { try original.copy(to: target) }
        #expect(try target.store.batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
    }
}

extension CopyEnd {
    /// The file's own check: references, counters and results.
    fileprivate func checkFile() throws {
        guard let store = store as? SQLiteJobStore else { return }
        let problems = try store.check().problems
        #expect(problems == [])
    }
}

extension SQLiteOptions {
    fileprivate static var impatient: SQLiteOptions {
        var options = SQLiteOptions()
        options.busyTimeoutSeconds = 0.05
        return options
    }
}

/// Rows that end early, or lack a relation.
private final class EndingRows: QueueRows {
    static let end = JobStoreError.unreachable(server: "source", reason: "gone")
    let location: String
    private let rows: any QueueRows
    private var left: Int
    private let missing: CopiedRelation?

    init(_ rows: any QueueRows, after left: Int, without missing: CopiedRelation? = nil) {
        (self.rows, self.left, self.missing, location) = (rows, left, missing, rows.location)
    }

    func read(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], take: ([CopiedValue]) throws(JobStoreError) -> Void
    ) throws(JobStoreError) {
        if relation == missing { return }
        try rows.read(relation, columns) { row throws(JobStoreError) in
            guard left > 0 else { throw Self.end }
            left -= 1
            try take(row)
        }
    }
}
