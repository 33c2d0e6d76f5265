// Devices that fail: now and then, under one job, or always.

import FakeModel
import Platform
import QueueFixture
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing

@testable import BatchDaemon

@Suite
struct DeviceFaultTests {
    let fixture: DaemonFixture

    init() throws { fixture = try DaemonFixture() }

    @Test(arguments: [0, 1, 5, 11])
    func afterAFaultEverythingEndsOnce(faultyStep: Int) throws {
        let prompts = [Prompt].some(30)
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening == 0, step.number == faultyStep { throw .scripted }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(platform.openings == 2)
        #expect(try fixture.results(batch).contains { $0.attempt > 1 })
    }

    @Test func aDeviceThatFailsNowAndThenFinishesTheQueue() throws {
        let prompts = [Prompt].some(60)
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening < 8, step.number == 40 { throw .scripted }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(platform.openings > 2)
    }

    /// The jobs beside it are halved until it is alone when the device fails, so no other job is blamed.
    @Test func aPoisonJobFailsAndNoOther() throws {
        let prompts = [Prompt].some(30)
        let poison = prompts[13]
        let batch = try fixture.enqueue(prompts.lines)
        let companions = Mutex<[Int]>([])
        let platform = FakePlatform { step throws(DeviceFault) in
            guard step.prefilled.contains(where: { $0.starts(with: poison.tokens) }) else { return }
            companions.withLock { $0.append(step.prefilled.count) }
            throw .scripted
        }
        try fixture.daemon(platform).run()
        let results = try fixture.results(batch)
        for (prompt, result) in zip(prompts, results) where prompt.number != poison.number {
            #expect(result.generated == prompt.expectedTokens)
        }
        let failed = results[poison.number]
        #expect(failed.error?.code == JobError.crashedDaemonRepeatedly)
        let sizes = companions.withLock { $0 }
        #expect(sizes.suffix(2) == [1, 1] && sizes.count <= 4, "\(sizes)")
        #expect((sizes.count...sizes.count + 1).contains(platform.openings))
    }

    @Test func severalPoisonJobsDoNotEndTheDaemon() throws {
        let prompts = [Prompt].some(20)
        let batch = try fixture.enqueue(prompts.lines)
        let poison: Set<Int> = [3, 9, 18, 19]
        let platform = FakePlatform { step throws(DeviceFault) in
            let numbers = step.prefilled.compactMap { row in prompts.firstIndex { row.starts(with: $0.tokens) } }
            if !poison.isDisjoint(with: numbers) { throw .scripted }
        }
        try fixture.daemon(platform).run()
        for (index, result) in try fixture.results(batch).enumerated() {
            #expect((result.error?.code == JobError.crashedDaemonRepeatedly) == poison.contains(index))
            #expect((result.generated == prompts[index].expectedTokens) != poison.contains(index))
        }
    }

    @Test func aDeviceThatAlwaysFailsEndsTheDaemonAndFailsNoJob() throws {
        let batch = try fixture.enqueue([Prompt].some(20).lines)
        let platform = FakePlatform { (_) throws(DeviceFault) in throw .scripted }
        let error = #expect(throws: DaemonError.self) { try fixture.daemon(platform).run() }
        guard case .deviceKeepsFailing(times: 5, let last) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(last.contains("scripted"))
        #expect(platform.openings == 5)
        #expect(try fixture.client.batch(batch).counts.pending == 20)
    }

    /// Jobs sent to an engine that has just died are not lost, nor are they blamed.
    @Test func jobsThatTheDeadEngineNeverSawComeBackWithoutBlame() throws {
        let prompts = [Prompt].some(40)
        let batch = try fixture.enqueue(prompts.lines)
        let wereClaimed = Event()
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .claim { wereClaimed.signal() }
        }
        let platform = FakePlatform { step throws(DeviceFault) in
            // The fault falls together with the feeder's second claim.
            guard step.opening == 0, step.number == 30 else { return }
            wereClaimed.wait(times: 2)
            throw .scripted
        }
        try fixture.daemon(platform, store: store).run()
        try fixture.expectAllSucceeded(batch, prompts)
    }

    /// Jobs that only waited for a slot when the device failed are not suspected.
    @Test func onlyTheRowsOfTheBatchAreBlamed() throws {
        let batch = try fixture.enqueue([Prompt].some(30).lines)
        let platform = FakePlatform { [stop = fixture.stop] step throws(DeviceFault) in
            if step.opening == 0, step.number == 6 { throw .scripted }
            if step.opening == 1 { stop.request(.immediate) }
        }
        try fixture.daemon(platform).run()
        let lease = try fixture.client.acquireLease()
        let life = try fixture.client.openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "v", model: "m", device: "d"), lease: lease, maxCrashes: 9, at: 9
        )
        let jobs = try fixture.client.claim(30, of: batch, incarnation: life.incarnation, at: 9)
        let blamed = jobs.filter { $0.crashes > 0 }.count
        #expect((1...4).contains(blamed), "the batch has 4 rows")
        #expect(jobs.count > 20)
    }

    @Test func suspectsOfACancelledBatchAreDropped() throws {
        let batch = try fixture.enqueue([Prompt].some(12).lines)
        let ran = Event()
        let cancelled = Event()
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening == 0 { throw .scripted }
            ran.signal()
            cancelled.wait()
        }
        let daemon = RunningDaemon(fixture.daemon(platform))
        ran.wait()
        _ = try fixture.client.cancel(batch, at: 5)
        cancelled.signal()
        try daemon.end()
        #expect(try fixture.client.batch(batch).counts.cancelled == 12)
    }

    /// What the device says to one prompt is no token, for ever or for a while; the others never notice.
    @Test(arguments: [(times: 2, succeeds: true), (times: 99, succeeds: false)])
    func badOutputIsTriedAgainAndBlamesNobodyElse(times: Int, succeeds: Bool) throws {
        let prompts = [Prompt].some(20)
        let batch = try fixture.enqueue(prompts.lines)
        let left = Mutex(times)
        let platform = FakePlatform { (_) throws(DeviceFault) in }
        platform.badPrompt = { row in
            guard row.starts(with: prompts[7].tokens) else { return false }
            return left.withLock { left in
                left -= 1
                return left >= 0
            }
        }
        try fixture.daemon(platform).run()
        #expect(platform.openings == 1, "the device goes on")
        for (prompt, result) in zip(prompts, try fixture.results(batch)) {
            if prompt.number != 7 || succeeds {
                #expect(result.generated == prompt.expectedTokens)
                #expect(result.attempt == (prompt.number == 7 ? 3 : 1))
            } else {
                #expect(result.error?.code == JobError.badOutput && result.attempt == 3)
            }
        }
    }
}
