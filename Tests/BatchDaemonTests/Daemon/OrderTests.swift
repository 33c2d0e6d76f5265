// In which order a daemon works: priorities, fair shares, turns of models, deadlines and pauses.

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
@testable import Intake
@testable import Settings

@Suite
struct OrderTests {
    let fixture: DaemonFixture

    init() throws { fixture = try DaemonFixture() }

    private func enqueue(_ prompts: [Prompt], _ change: (inout Enqueuer.Options) -> Void = { _ in }) throws -> BatchID {
        var options = Enqueuer.Options(defaultModel: fixture.configuration.model)
        change(&options)
        let path = try fixture.folder.write("prompts.jsonl", prompts.lines.joined(separator: "\n"))
        return try Enqueuer(store: fixture.client, catalogue: fixture.configuration.catalogue, options: options)
            .enqueue(paths: [path]) { _ in }[0].batch
    }

    @Test func aSmallBatchDoesNotWaitForALargeOne() throws {
        let large = [Prompt].some(200)
        let first = try enqueue(large)
        let small = [Prompt].some(6)
        let second = try enqueue(small)
        try fixture.daemon(FakePlatform()).run()
        try fixture.expectAllSucceeded(first, large)
        try fixture.expectAllSucceeded(second, small)
        let order = try fixture.client.results(
            ResultQuery(batch: first, order: .completion), after: 0, limit: 1000)
        let ended = try #require(try fixture.client.batch(second).finished)
        #expect(order.count { $0.finished! < ended } < 60)
    }

    @Test func aHigherPriorityGoesFirstWhateverModelIsLoaded() throws {
        let prompts = [Prompt].some(30)
        let low = try enqueue(prompts) { $0.priority = BatchPriority(rawValue: -1)! }
        let high = try enqueue(prompts) {
            $0.priority = BatchPriority(rawValue: 7)!
            $0.requestedModel = "other"
        }
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        #expect(platform.openings == 2)
        #expect(try #require(fixture.client.batch(high).finished) <= #require(fixture.client.batch(low).started))
    }

    /// Loading a model costs minutes, so batches of equal rank do not take turns job by job across models.
    @Test(arguments: [(turn: Int64(3_600_000), openings: 2...2), (turn: 0, openings: 3...100)])
    func aLoadedModelKeepsItsTurn(turn: Int64, openings: ClosedRange<Int>) throws {
        fixture.configuration.daemon.modelTurnMS = turn
        let prompts = [Prompt].some(60)
        let batches = try ["tiny", "other", "tiny", "other"].map { model in
            try enqueue(prompts) { $0.requestedModel = model }
        }
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        for batch in batches { try fixture.expectAllSucceeded(batch, prompts) }
        #expect(openings.contains(platform.openings), "\(platform.openings)")
    }

    @Test func whatIsNotRunByTheDeadlineExpires() throws {
        let now = Atomic(Int64(1000))
        let clock = TimeSource { Milliseconds(rawValue: now.load(ordering: .acquiring)) }
        let prompts = [Prompt].some(30)
        var options = Enqueuer.Options(defaultModel: "tiny")
        options.deadline = 5000
        let path = try fixture.folder.write("prompts.jsonl", prompts.lines.joined(separator: "\n"))
        let batch = try Enqueuer(
            store: fixture.client, catalogue: fixture.configuration.catalogue, options: options, clock: clock
        ).enqueue(paths: [path]) { _ in }[0].batch
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.number == 3 { now.store(5000, ordering: .releasing) }
        }
        try DaemonService(
            store: fixture.store, configuration: fixture.configuration, platforms: PlatformCatalogue([platform]),
            drains: true, stop: fixture.stop, clock: clock, log: fixture.log
        ).run()
        let summary = try fixture.client.batch(batch)
        #expect(summary.status == .expired)
        #expect(summary.counts.succeeded > 0 && summary.counts.expired > 10, "what ran has ended")
        #expect(summary.counts.succeeded + summary.counts.expired == 30)
        for (prompt, result) in zip(prompts, try fixture.results(batch)) where result.outcome != .expired {
            #expect(result.generated == prompt.expectedTokens)
        }
    }

    @Test func aPausedBatchIsLeftAloneAndDoesNotHoldUpADrain() throws {
        let prompts = [Prompt].some(20)
        let paused = try enqueue(prompts)
        let other = try enqueue(prompts)
        try fixture.client.pause(paused, at: 5)
        try fixture.daemon(FakePlatform()).run()
        try fixture.expectAllSucceeded(other, prompts)
        #expect(try fixture.client.batch(paused).counts.pending == 20)
        try fixture.client.resume(paused)
        try fixture.client.pause(nil, at: 6)
        try fixture.daemon(FakePlatform()).run()
        #expect(try fixture.client.batch(paused).counts.pending == 20)
        try fixture.client.resume(nil)
        try fixture.daemon(FakePlatform()).run()
        try fixture.expectAllSucceeded(paused, prompts)
    }

    /// A pause while jobs run lets them end and takes no more; resuming is noticed.
    @Test func pausingAndResumingAWorkingDaemon() throws {
        let prompts = [Prompt].some(40)
        let batch = try enqueue(prompts)
        let reached = Event()
        let open = Event()
        let idle = Event()
        let platform = FakePlatform { step throws(DeviceFault) in
            guard step.number == 3 else { return }
            reached.signal()
            open.wait()
        }
        let store = ScriptedStore(fixture.store) { (operation) throws(JobStoreError) in
            if operation == .maintain { idle.signal() }
        }
        let daemon = RunningDaemon(fixture.daemon(platform, store: store, drains: false))
        reached.wait()
        try fixture.client.pause(batch, at: 5)
        let claimed = try fixture.client.batch(batch).counts
        open.signal()
        while try fixture.client.batch(batch).counts.running > 0 { idle.wait(times: idle.current + 1) }
        idle.wait(times: idle.current + 5)
        let counts = try fixture.client.batch(batch).counts
        #expect(counts.pending == claimed.pending && counts.succeeded == claimed.running + claimed.succeeded)
        try fixture.client.resume(batch)
        while try !fixture.client.batch(batch).status.isTerminal { idle.wait(times: idle.current + 1) }
        fixture.stop.request(.graceful)
        try daemon.end()
        try fixture.expectAllSucceeded(batch, prompts)
    }

    @Test func aBatchWhoseModelComesBackInTimeRuns() throws {
        let path = fixture.folder.path + "/later.gguf"
        try FileManager.default.copyItem(atPath: TinyModel.path, toPath: path)
        let prompts = [Prompt].some(5)
        let batch = try fixture.enqueue(prompts.lines, model: path)
        try FileManager.default.removeItem(atPath: path)
        fixture.configuration.daemon.maxModelErrors = 1_000_000
        fixture.configuration.daemon.maxBackoffMS = 2
        let daemon = RunningDaemon(fixture.daemon(FakePlatform()))
        while try fixture.client.batch(batch).modelTrouble?.times ?? 0 < 3 { usleep(1000) }
        try FileManager.default.copyItem(atPath: TinyModel.path, toPath: path)
        try daemon.end()
        try fixture.expectAllSucceeded(batch, prompts)
        #expect(try fixture.client.batch(batch).modelTrouble == nil)
    }
}
