// Several replicas behind one queue: who gets which job, and what one's fault does to the others.

import FakeModel
import Platform
import QueueFixture
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing

@testable import BatchDaemon
@testable import Serving
@testable import Settings

@Suite
struct ReplicaTests {
    let fixture: DaemonFixture

    init() throws {
        fixture = try DaemonFixture()
        fixture.configuration.engine.dataParallelSize = 3
    }

    @Test func allReplicasWorkAndEachJobIsRunOnce() throws {
        let prompts = (0..<90).map { Prompt(number: $0, maxTokens: 2 + $0 % 13) }
        let batch = try fixture.enqueue(prompts.lines)
        let steps = Mutex([0, 0, 0])
        let prefilled = Mutex([[Int32]: Int]())
        // One interval, which covers the whole batch.
        fixture.configuration.daemon.metricsIntervalMS = 3_600_000
        let platform = FakePlatform { step throws(DeviceFault) in
            steps.withLock { $0[step.replica] += 1 }
            prefilled.withLock { counts in for row in step.prefilled { counts[row, default: 0] += 1 } }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(platform.openings == 3)
        #expect(steps.withLock { $0.allSatisfy { $0 > 10 } }, "\(steps.withLock { $0 })")
        #expect(prefilled.withLock { $0.count == 90 && $0.values.allSatisfy { $0 == 1 } })
        let metrics = try fixture.client.metricsSummary(.batch(batch))
        let tokens = prompts.map(\.expectedTokens.count).reduce(0, +)
        #expect(metrics.generatedTokens >= Int64(tokens))
        #expect(metrics.decodeSteps + metrics.prefillSteps == Int64(steps.withLock { $0.reduce(0, +) }))
    }

    /// While one replica hangs in a step the others go on with the queue.
    @Test func aSlowReplicaDoesNotHoldUpTheOthers() throws {
        let prompts = [Prompt].some(60)
        let batch = try fixture.enqueue(prompts.lines)
        let others = Event()
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.replica == 1 { others.wait(times: 40) } else { others.signal() }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
    }

    /// The fault ends the session for all; only the rows of the faulty replica's batch are suspected.
    @Test func oneReplicasFaultBlamesNobodyElse() throws {
        let prompts = [Prompt].some(40, maxTokens: 30)
        let batch = try fixture.enqueue(prompts.lines)
        let begun = Event()
        let suspects = Mutex<Set<[Int32]>>([])
        let platform = FakePlatform { [stop = fixture.stop] step throws(DeviceFault) in
            if step.opening >= 3 { return stop.request(.immediate) }
            if step.replica == 2 { suspects.withLock { $0.formUnion(step.prefilled) } }
            if step.number == 0 { begun.signal() }
            guard step.replica == 2, step.number == 2 else { return }
            begun.wait(times: 3)
            throw .scripted
        }
        try fixture.daemon(platform).run()
        #expect(platform.openings == 6)
        let lease = try fixture.client.acquireLease()
        let life = try fixture.client.openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "v", model: "m", device: "d"), lease: lease, maxCrashes: 9, at: 9
        )
        let jobs = try fixture.client.claim(100, of: batch, incarnation: life.incarnation, at: 9)
        let blamed = jobs.filter { $0.crashes > 0 }
        #expect(blamed.count == suspects.withLock(\.count) && (1...4).contains(blamed.count), "\(blamed.count)")
    }

    @Test(arguments: [0, 1, 2])
    func afterAFaultEverythingEndsOnce(faulty: Int) throws {
        let prompts = [Prompt].some(60)
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening < 6, step.replica == faulty, step.number == 5 { throw .scripted }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
    }

    @Test func aPoisonJobFailsAndNoOther() throws {
        let prompts = [Prompt].some(50)
        let poison = prompts[13]
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.prefilled.contains(where: { $0.starts(with: poison.tokens) }) { throw .scripted }
        }
        try fixture.daemon(platform).run()
        for (prompt, result) in zip(prompts, try fixture.results(batch)) {
            if prompt.number == poison.number {
                #expect(result.error?.code == JobError.crashedDaemonRepeatedly)
            } else {
                #expect(result.generated == prompt.expectedTokens)
            }
        }
    }

    /// Jobs of a cancelled batch free every replica for what comes after it.
    @Test func aCancelReachesAllReplicas() throws {
        let long = (0..<3).map { Prompt(number: $0, maxTokens: 200) }
        let batch = try fixture.enqueue(long.lines)
        let begun = Event()
        let cancelled = Event()
        let platform = FakePlatform { step throws(DeviceFault) in
            guard step.number == 1 else { return }
            begun.signal()
            cancelled.wait()
        }
        let daemon = RunningDaemon(fixture.daemon(platform))
        begun.wait(times: 3)
        _ = try fixture.client.cancel(batch, at: 5)
        let next = try fixture.enqueue([Prompt(number: 9, maxTokens: 1)].lines)
        cancelled.signal()
        try daemon.end()
        #expect(try fixture.client.batch(batch).counts.cancelled == 3)
        #expect(try fixture.client.batch(next).status == .completed)
    }

    /// What the others have opened is closed, and the jobs wait for the next try.
    @Test func aReplicaThatCannotBeOpenedIsTriedAgainWithAll() throws {
        let prompts = [Prompt].some(20)
        let batch = try fixture.enqueue(prompts.lines)
        let tries = Mutex(0)
        let platform = FakePlatform(open: { replica in
            guard replica.index == 2 else { return }
            let isFirst = tries.withLock { tries in
                tries += 1
                return tries == 1
            }
            if isFirst { throw DeviceFault.scripted }
        })
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(tries.withLock { $0 } == 2 && platform.openings == 5)
    }
}
