// Full disks, busy databases and clocks that are set back.

import FakeModel
import Foundation
import Platform
import QueueFixture
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing

@testable import BatchDaemon
@testable import Settings

@Suite
struct StoreTroubleTests {
    let fixture: DaemonFixture

    init() throws { fixture = try DaemonFixture() }

    /// Fails the first `times` calls of each of `operations`.
    private func failing(
        _ operations: Set<ScriptedStore.Operation>, times: Int, with error: JobStoreError = .diskFull(path: "jobs.db")
    ) -> ScriptedStore {
        let failures = FailureCounts()
        return ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operations.contains(operation), failures.count(operation) <= times { throw error }
        }
    }

    @Test(arguments: [
        [ScriptedStore.Operation.finish], [.record], [.claim], [.claimableBatch], [.dataVersion], [.maintain],
        [.finish, .record, .claim, .claimableBatch, .dataVersion, .maintain, .revoked],
    ])
    func whatPassesLosesNothing(operations: Set<ScriptedStore.Operation>) throws {
        let prompts = [Prompt].some(25)
        let batch = try fixture.enqueue(prompts.lines)
        try fixture.daemon(FakePlatform(), store: failing(operations, times: 3)).run()
        try fixture.expectAllSucceeded(batch, prompts)
        let usage = try fixture.client.batch(batch).usage
        let intervals = try fixture.client.metrics(.period(from: 0, to: .init(rawValue: .max)), limit: 100_000)
        #expect(intervals.reduce(0) { $0 + $1.generatedTokens } == Int64(usage.completionTokens))
    }

    /// Claims would go through while results cannot be written: none are made, so that no more than what is in flight
    /// waits in memory.
    @Test func nothingIsClaimedWhileResultsWaitForTheDisk() throws {
        let prompts = [Prompt].some(60)
        let batch = try fixture.enqueue(prompts.lines)
        let refused = Atomic(0)
        let claims = Atomic(0)
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            switch operation {
            case .finish where refused.add(1, ordering: .acquiringAndReleasing).newValue <= 30:
                throw .diskFull(path: "jobs.db")
            case .claim where (1..<30).contains(refused.load(ordering: .acquiring)):
                claims.add(1, ordering: .relaxed)
            default: break
            }
        }
        try fixture.daemon(FakePlatform(), store: store).run()
        try fixture.expectAllSucceeded(batch, prompts)
        // One may have been under way.
        #expect(claims.load(ordering: .relaxed) <= 1)
    }

    @Test func jobsOfAFailedDeviceAreReleasedOnceTheStoreWorksAgain() throws {
        let prompts = [Prompt].some(25)
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening == 0, step.number == 4 { throw .scripted }
        }
        let store = failing([.release, .finish], times: 3, with: .busy(path: "jobs.db"))
        try fixture.daemon(platform, store: store).run()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(platform.openings == 2)
    }

    @Test func failingABatchSurvivesAFullDisk() throws {
        let gone = fixture.folder.path + "/gone.gguf"
        try FileManager.default.copyItem(atPath: TinyModel.path, toPath: gone)
        let batch = try fixture.enqueue([Prompt].some(5).lines, model: gone)
        try FileManager.default.removeItem(atPath: gone)
        try fixture.daemon(FakePlatform(), store: failing([.finish, .claim], times: 3)).run()
        #expect(try fixture.client.batch(batch).counts.failed == 5)
    }

    /// Somebody wants to stop the daemon and the disk stays full: results are given up, their jobs are not.
    @Test(arguments: [StopSignal.Level.immediate, .graceful])
    func aDiskThatStaysFullDoesNotKeepTheDaemonFromStopping(level: StopSignal.Level) throws {
        fixture.configuration.daemon.graceMS = 0
        let prompts = [Prompt].some(6)
        let batch = try fixture.enqueue(prompts.lines)
        let failed = Event()
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            guard operation == .finish else { return }
            failed.signal()
            throw .diskFull(path: "jobs.db")
        }
        let daemon = RunningDaemon(fixture.daemon(FakePlatform(), store: store))
        failed.wait(times: 3)
        fixture.stop.request(level)
        #expect(throws: JobStoreError.diskFull(path: "jobs.db")) { try daemon.end() }
        let counts = try fixture.client.batch(batch).counts
        #expect(counts.pending == 6 && counts.running == 0)
    }

    @Test func anErrorThatStaysEndsTheDaemonAtOnce() throws {
        let batch = try fixture.enqueue([Prompt].some(6).lines)
        let error = JobStoreError.corrupt(path: "jobs.db", reason: "scripted")
        let attempts = Atomic(0)
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            guard operation == .finish else { return }
            attempts.add(1, ordering: .relaxed)
            throw error
        }
        #expect(throws: error) { try fixture.daemon(FakePlatform(), store: store).run() }
        #expect(attempts.load(ordering: .relaxed) == 1)
        #expect(try fixture.client.batch(batch).counts.pending == 6)
    }

    @Test func aClockThatIsSetBackViolatesNothing() throws {
        let prompts = [Prompt].some(20)
        let batch = try fixture.enqueue(prompts.lines)
        let now = Atomic(Int64(10_000_000_000_000))
        // Every look at the clock finds it earlier.
        let clock = TimeSource { Milliseconds(rawValue: now.subtract(7_000, ordering: .relaxed).newValue) }
        try DaemonService(
            store: fixture.store, configuration: fixture.configuration,
            platforms: PlatformCatalogue([FakePlatform()]), drains: true, stop: fixture.stop, clock: clock,
            log: fixture.log
        ).run()
        try fixture.expectAllSucceeded(batch, prompts)
        for result in try fixture.results(batch) {
            let timings = try #require(result.timings)
            let all = [timings.queuedMS, timings.prefillMS, timings.decodeMS, timings.totalMS]
            #expect(all.allSatisfy { $0 >= 0 })
        }
        let usage = try fixture.client.batch(batch).usage
        let intervals = try fixture.client.metrics(.period(from: 0, to: .init(rawValue: .max)), limit: 100_000)
        #expect(intervals.reduce(0) { $0 + $1.generatedTokens } == Int64(usage.completionTokens))
    }
}

/// How often each operation was called.
private final class FailureCounts: Sendable {
    private let counts = Mutex<[ScriptedStore.Operation: Int]>([:])

    func count(_ operation: ScriptedStore.Operation) -> Int {
        counts.withLock {
            $0[operation, default: 0] += 1
            return $0[operation]!
        }
    }
}
