// Stopping, cancelling and idling while jobs run.

import Glibc
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
struct StoppingTests {
    let fixture: DaemonFixture

    init() throws { fixture = try DaemonFixture() }

    /// A device that waits before a step until the test has done something.
    private func gate(at number: Int) -> (platform: FakePlatform, reached: Event, open: Event) {
        let reached = Event()
        let open = Event()
        let platform = FakePlatform { step throws(DeviceFault) in
            guard step.opening == 0, step.number == number else { return }
            reached.signal()
            open.wait()
        }
        return (platform, reached, open)
    }

    @Test(arguments: [StopSignal.Level.immediate, .graceful])
    func stoppingPutsJobsBackWithoutBlame(level: StopSignal.Level) throws {
        fixture.configuration.daemon.graceMS = 0
        let prompts = [Prompt].some(30, maxTokens: 20)
        let batch = try fixture.enqueue(prompts.lines)
        let (platform, reached, open) = gate(at: 3)
        let daemon = RunningDaemon(fixture.daemon(platform, drains: false))
        reached.wait()
        fixture.stop.request(level)
        open.signal()
        try daemon.end()

        let counts = try fixture.client.batch(batch).counts
        #expect(counts.running == 0 && counts.pending > 0 && counts.failed == 0)
        let lease = try fixture.client.acquireLease()
        let opened = try fixture.client.openIncarnation(
            NewIncarnation(pid: 1, host: "", version: "", model: "", device: ""), lease: lease, maxCrashes: 3, at: 9)
        #expect(opened.orphans.requeued == 0)
        let again = try fixture.client.claim(99, of: batch, incarnation: opened.incarnation, at: 9)
        #expect(again.allSatisfy { $0.crashes == 0 })
        #expect(Int64(again.count) == counts.pending)
    }

    @Test func graceLetsRunningJobsEndAndTakesNoNewOnes() throws {
        let prompts = [Prompt].some(30)
        let batch = try fixture.enqueue(prompts.lines)
        let (platform, reached, open) = gate(at: 0)
        let claims = Atomic(0)
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .claim { claims.add(1, ordering: .relaxed) }
        }
        let daemon = RunningDaemon(fixture.daemon(platform, store: store, drains: false))
        reached.wait()
        let running = try fixture.client.batch(batch).counts.running
        fixture.stop.request(.graceful)
        open.signal()
        try daemon.end()
        let counts = try fixture.client.batch(batch).counts
        #expect(running > 0 && counts.succeeded == running && counts.pending == 30 - running)
        #expect(claims.load(ordering: .relaxed) == 1)
    }

    @Test func cancellingKeepsWhatHasFinishedAndDropsTheRest() throws {
        let prompts = [Prompt].some(30)
        let batch = try fixture.enqueue(prompts.lines)
        let others = [Prompt].some(5)
        let other = try fixture.enqueue(others.lines)
        let (platform, reached, open) = gate(at: 20)
        let daemon = RunningDaemon(fixture.daemon(platform))
        reached.wait()
        let report = try fixture.client.cancel(batch, at: 5)
        open.signal()
        try daemon.end()

        #expect(try fixture.client.batch(batch).status == .cancelled)
        let results = try fixture.results(batch)
        #expect(results.count == 30)
        #expect(results.count { $0.outcome == .cancelled } == Int(report.cancelled) && report.cancelled > 0)
        for (prompt, result) in zip(prompts, results) where result.outcome != .cancelled {
            #expect(result.generated == prompt.expectedTokens)
        }
        try fixture.expectAllSucceeded(other, others)
    }

    /// An idle daemon keeps its model and queries the queue only after a write by another process.
    @Test func idlingIsCheapAndTheModelStaysLoaded() throws {
        let polls = Event()
        let questions = Atomic(0)
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .dataVersion { polls.signal() }
            if operation == .claimableBatch { questions.add(1, ordering: .relaxed) }
        }
        let platform = FakePlatform()
        let daemon = RunningDaemon(fixture.daemon(platform, store: store, drains: false))
        polls.wait(times: 20)
        #expect(questions.load(ordering: .relaxed) == 1)

        let prompts = [Prompt].some(9)
        let first = try fixture.enqueue(prompts.lines)
        try waitForEnd(of: first, polls)
        let base = polls.current
        polls.wait(times: base + 10)
        let settled = questions.load(ordering: .relaxed)
        polls.wait(times: base + 60)
        #expect(questions.load(ordering: .relaxed) == settled)

        let second = try fixture.enqueue(prompts.lines)
        try waitForEnd(of: second, polls)
        fixture.stop.request(.graceful)
        try daemon.end()
        try fixture.expectAllSucceeded(first, prompts)
        try fixture.expectAllSucceeded(second, prompts)
        #expect(platform.openings == 1)
    }

    /// Looks once for each time that the daemon has looked.
    private func waitForEnd(of batch: BatchID, _ polls: Event) throws {
        while try !fixture.client.batch(batch).status.isTerminal { polls.wait(times: polls.current + 1) }
    }

    /// It looks by itself once an hour here, so what happens is due to the wake-up.
    @Test func whoWritesWakesTheDaemon() throws {
        fixture.configuration.daemon.pollIntervalMS = 3_600_000
        let looked = Event()
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .maintain { looked.signal() }
        }
        let daemon = RunningDaemon(fixture.daemon(FakePlatform(), store: store, drains: false))
        looked.wait()
        let prompts = [Prompt].some(3)
        for _ in 0..<3 {
            // First no model is loaded, then one is.
            let seen = looked.current
            try fixture.client.pause(nil, at: 1)
            let batch = try fixture.enqueue(prompts.lines)
            try fixture.client.resume(nil)
            while try !fixture.client.batch(batch).status.isTerminal { usleep(1000) }
            try fixture.expectAllSucceeded(batch, prompts)
            looked.wait(times: seen + 1)
        }
        let cancelled = try fixture.enqueue([Prompt(number: 1, maxTokens: 200)].lines)
        _ = try? fixture.client.cancel(cancelled, at: 2)
        while try !fixture.client.batch(cancelled).status.isTerminal { usleep(1000) }
        fixture.stop.request(.graceful)
        try daemon.end()
    }

    @Test func stoppingAnIdleDaemonEndsIt() throws {
        fixture.configuration.daemon.pollIntervalMS = 3_600_000
        let polled = Event()
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .maintain { polled.signal() }
        }
        let daemon = RunningDaemon(fixture.daemon(FakePlatform(), store: store, drains: false))
        polled.wait()
        fixture.stop.request(.graceful)
        try daemon.end()
    }

    @Test func stoppingWithAModelLoadedAndNothingToDoEndsIt() throws {
        let prompts = [Prompt].some(3)
        let batch = try fixture.enqueue(prompts.lines)
        fixture.configuration.daemon.pollIntervalMS = 3_600_000
        let finished = Event()
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            // The daemon tidies up when nothing is in flight.
            if operation == .maintain { finished.signal() }
        }
        let daemon = RunningDaemon(fixture.daemon(FakePlatform(), store: store, drains: false))
        finished.wait()
        fixture.stop.request(.graceful)
        try daemon.end()
        try fixture.expectAllSucceeded(batch, prompts)
    }
}
