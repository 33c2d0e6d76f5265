// Models that cannot be used, in every way: their batches wait or fail, and the others never notice.

import FakeModel
import Foundation
import ModelFiles
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
struct ModelTroubleTests {
    let fixture: DaemonFixture
    private let prompts = [Prompt].some(7)

    init() throws { fixture = try DaemonFixture() }

    private var limit: Int { fixture.configuration.daemon.maxModelErrors }

    /// A file of the tiny model, and a batch for it.
    private func file(_ name: String) throws -> String {
        let path = fixture.folder.path + "/\(name).gguf"
        try FileManager.default.copyItem(atPath: TinyModel.path, toPath: path)
        return path
    }

    /// A platform on which a session of a model called like `bad` ends in `error` before a job runs.
    private func platform(
        _ bad: String, throws error: any Error & Sendable, times: Int = .max, tries: Tries = Tries()
    ) -> LoadingPlatform {
        LoadingPlatform(load: { model in
            if model.name == bad, tries.next() <= times { throw error }
        })
    }

    private func expectFailed(_ batch: BatchID, times: Int, _ words: String) throws {
        let summary = try fixture.client.batch(batch)
        #expect(summary.status == .completed && summary.counts.failed == summary.counts.total)
        #expect(summary.modelTrouble?.times == times && summary.modelTrouble?.until == nil)
        for error in try fixture.results(batch).map(\.error) {
            #expect(error?.code == JobError.modelUnavailable && error?.status == 503)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        }
    }

    // MARK: Which batches are postponed, and which fail

    @Test func whatMayPassIsTriedAgainAndWhatMayNotIsNot() throws {
        let (gone, broken) = (try file("gone"), try file("broken"))
        let lost = try fixture.enqueue(prompts.lines, model: gone)
        let damaged = try fixture.enqueue(prompts.lines, model: broken)
        let well = try fixture.enqueue(prompts.lines)
        try FileManager.default.removeItem(atPath: gone)
        try Data("no model".utf8).write(to: URL(fileURLWithPath: broken))
        try fixture.daemon(FakePlatform()).run()
        try fixture.expectAllSucceeded(well, prompts)
        try expectFailed(lost, times: limit, gone)
        try expectFailed(damaged, times: 1, broken)
    }

    /// The model that was loaded before is still there for the batch after the one that had no model.
    @Test func aModelWithoutAFileDoesNotUnloadTheOther() throws {
        let gone = try file("gone")
        let first = try fixture.enqueue(prompts.lines, priority: 2)
        let lost = try fixture.enqueue(prompts.lines, model: gone, priority: 1)
        let last = try fixture.enqueue(prompts.lines)
        try FileManager.default.removeItem(atPath: gone)
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        for batch in [first, last] { try fixture.expectAllSucceeded(batch, prompts) }
        try expectFailed(lost, times: limit, gone)
        #expect(platform.openings == 1)
        // Each session counts what the engine did for it, and not what it had done before.
        let generated = try [first, last].reduce(0) { try $0 + fixture.client.batch($1).usage.completionTokens }
        let intervals = try fixture.client.metrics(.period(from: 0, to: .init(rawValue: .max)), limit: 100_000)
        #expect(intervals.reduce(0) { $0 + $1.generatedTokens } == Int64(generated))
    }

    /// What only loading shows: the same, for every error that is the model's.
    @Test(arguments: [
        (ModelFileError.unsupported(path: "/bad", what: "tensor blk.0.attn_q.bias") as any Error & Sendable, 1),
        (ModelFileError.corrupt(path: "/bad", offset: 7, reason: "no numbers"), 1),
        (ModelFileError.changed(path: "/bad", how: "cut short"), 5),
        (DeviceFault(operation: "warm-up", reason: "/bad: no numbers", cause: .model), 5),
        (ConfigurationError.noModel(model: "/bad", tried: ["T"], known: [], platform: "fake"), 1),
    ])
    func aModelThatDoesNotLoadFailsItsBatchAlone(error: any Error & Sendable, times: Int) throws {
        let bad = try fixture.enqueue(prompts.lines, model: try file("bad"))
        let well = try fixture.enqueue(prompts.lines)
        let tries = Tries()
        try fixture.daemon(platform("bad", throws: error, tries: tries)).run()
        try fixture.expectAllSucceeded(well, prompts)
        try expectFailed(bad, times: times, "/bad")
        #expect(tries.count == times)
        let attempts = try fixture.results(bad).map(\.attempt)
        #expect(attempts.allSatisfy { $0 == 1 }, "its jobs were claimed once, to be failed")
    }

    @Test func batchesOfOneBadModelAreTriedTogether() throws {
        let path = try file("bad")
        let bad = try (0..<6).map { _ in try fixture.enqueue(prompts.lines, model: path) }
        let well = try fixture.enqueue(prompts.lines)
        let tries = Tries()
        let fault = DeviceFault(operation: "warm-up", reason: "/bad: no numbers", cause: .model)
        try fixture.daemon(platform("bad", throws: fault, tries: tries)).run()
        try fixture.expectAllSucceeded(well, prompts)
        for batch in bad { try expectFailed(batch, times: limit, "/bad") }
        #expect(tries.count == limit, "and not for each of them")
    }

    @Test func aModelThatIsMendedInTimeRunsAndItsTroubleIsForgotten() throws {
        let path = try file("bad")
        let batches = try (0..<2).map { _ in try fixture.enqueue(prompts.lines, model: path) }
        let tries = Tries()
        let fault = DeviceFault(operation: "warm-up", reason: "/bad: no numbers", cause: .model)
        try fixture.daemon(platform("bad", throws: fault, times: limit - 1, tries: tries)).run()
        for batch in batches {
            try fixture.expectAllSucceeded(batch, prompts)
            #expect(try fixture.client.batch(batch).modelTrouble == nil)
        }
    }

    /// In an earlier life, or beside another batch.
    @Test func aModelThatWasInTroubleTooOftenIsNotLoadedOnceMore() throws {
        let batch = try fixture.enqueue(prompts.lines, model: try file("bad"))
        for _ in 0..<limit {
            _ = try fixture.client.postpone(
                batch, by: Incarnation(rawValue: 1), limit: limit, backoff: .none, because: "/bad: as before", at: 1)
        }
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        try expectFailed(batch, times: limit, "\(limit) times in a row, the last time: /bad: as before")
        #expect(platform.openings == 0)
    }

    // MARK: At work

    /// The device is opened again for others, and no job is blamed; each session may get some jobs done.
    @Test func aModelThatIsLostAtWorkBlamesNoJob() throws {
        let prompts = [Prompt].some(30)
        let batch = try fixture.enqueue(prompts.lines, model: try file("bad"))
        let well = try fixture.enqueue(prompts.lines, model: "other")
        fixture.configuration.daemon.maxCrashes = 1
        let platform = FakePlatform { step throws(DeviceFault) in
            if step.opening < 4, step.number == 9 {
                throw DeviceFault(operation: "step", reason: "/bad: was changed", cause: .model)
            }
        }
        try fixture.daemon(platform).run()
        for batch in [batch, well] {
            try fixture.expectAllSucceeded(batch, prompts)
            #expect(try fixture.client.batch(batch).modelTrouble == nil)
        }
        #expect(platform.openings >= 5)
    }

    @Test func aModelThatIsLostAtWorkForGoodFailsItsBatchAlone() throws {
        let bad = try fixture.enqueue(prompts.lines, model: try file("bad"))
        let well = try fixture.enqueue(prompts.lines, model: "other")
        let fault = DeviceFault(operation: "step", reason: "/bad: was changed", cause: .model)
        let platform = LoadingPlatform(step: { model throws(DeviceFault) in
            if model.name == "bad" { throw fault }
        })
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(well, prompts)
        try expectFailed(bad, times: limit, "/bad")
    }

    // MARK: Deaths

    private func die(loading batch: BatchID?) throws {
        let lease = try fixture.client.acquireLease()
        defer { lease.release() }
        let life = try fixture.client.openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "v", model: "tiny", device: "d"), lease: lease, maxCrashes: 3,
            at: 1)
        try fixture.client.noteLoading(for: batch, incarnation: life.incarnation)
    }

    @Test func aModelUnderWhoseLoadingTheDaemonDiesAgainIsPutOffForOthers() throws {
        let bad = try fixture.enqueue(prompts.lines, model: try file("bad"))
        let well = try fixture.enqueue(prompts.lines)
        try die(loading: bad)
        try die(loading: bad)
        fixture.configuration.daemon.backoffMS = 60_000
        let order = Mutex<[String]>([])
        let platform = LoadingPlatform(load: { [stop = fixture.stop] model in
            order.withLock { $0.append(model.name) }
            if model.name != "bad" { stop.request(.graceful) }
        })
        try fixture.daemon(platform).run()
        #expect(order.withLock { $0 } == ["tiny-f32"], "\(well) is first now")
        let trouble = try fixture.client.batch(bad).modelTrouble
        #expect(trouble?.times == 1 && trouble?.reason.contains("/bad.gguf: the daemon died while it loaded") == true)
    }

    @Test func aModelThatAlwaysKillsTheDaemonFailsAtTheLimit() throws {
        let bad = try fixture.enqueue(prompts.lines, model: try file("bad"))
        fixture.configuration.daemon.backoffMS = 0
        fixture.configuration.daemon.maxModelErrors = 1
        try die(loading: bad)
        try die(loading: bad)
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        try expectFailed(bad, times: 1, "the daemon died")
        #expect(platform.openings == 0)
    }

    /// While a session is loaded, what ends the daemon is not its model's fault.
    @Test func whatIsLoadedIsNoSuspectAnyMore() throws {
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform { [client = fixture.client] (_) throws(DeviceFault) in
            let life = try? client.incarnations(limit: 1).first?.id
            let next = Incarnation(rawValue: (life?.rawValue ?? 0) + 1)
            if (try? client.loadingThatKilled(before: next)) != .some(nil) {
                throw DeviceFault(operation: "test", reason: "the model is loaded, and the store says it is not")
            }
        }
        try die(loading: batch)
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
    }

    // MARK: Whose fault

    /// Settings that do not fit one batch's model keep no other waiting; those that do not fit the configured one do.
    @Test(arguments: [false, true])
    func settingsThatDoNotFitAreTheModelsOnlyIfItIsNotTheConfiguredOne(isConfigured: Bool) throws {
        let path = try file("bad")
        if isConfigured { fixture.configuration = fixture.configured(model: path) }
        let bad = try fixture.enqueue(prompts.lines, model: path)
        let well = try fixture.enqueue(prompts.lines, model: "other")
        let tries = Tries()
        let fault = DeviceFault(operation: "warm-up", reason: "the class has no such batch size", cause: .settings)
        let daemon = fixture.daemon(platform("bad", throws: fault, tries: tries))
        if isConfigured {
            #expect(throws: DeviceFault.self) { try daemon.run() }
            #expect(try [bad, well].map { try fixture.client.batch($0).counts.pending } == [7, 7])
        } else {
            try daemon.run()
            try fixture.expectAllSucceeded(well, prompts)
            try expectFailed(bad, times: 1, "/bad.gguf: device fault in warm-up: the class has no such batch size")
        }
    }

    /// A missing device, or a mesh that cannot be opened, is not counted against any model.
    @Test func aDeviceThatCannotBeOpenedFailsNoBatch() throws {
        let batch = try fixture.enqueue(prompts.lines, model: try file("bad"))
        let platform = FakePlatform(open: { _ in
            throw ConfigurationError.contradiction("the mesh needs 8 devices", remedy: "ask for less")
        })
        #expect(throws: ConfigurationError.self) { try fixture.daemon(platform).run() }
        fixture.configuration.engine.device = "unheard-of"
        #expect(throws: ConfigurationError.self) { try fixture.daemon(FakePlatform()).run() }
        #expect(try fixture.client.batch(batch).counts.pending == 7)
        #expect(try fixture.client.batch(batch).modelTrouble == nil)
    }
}

extension DaemonFixture {
    /// The configuration for another model.
    func configured(model: String) -> Configuration {
        var other = configuration
        other.model = model
        return other
    }
}

/// Counts how often something was tried.
private final class Tries: Sendable {
    private let number = Mutex(0)

    var count: Int { number.withLock { $0 } }

    /// The number of this try, from 1.
    func next() -> Int {
        number.withLock { number in
            number += 1
            return number
        }
    }
}

/// Opens fake devices whose models fail to load, or fail at a step, as a test scripts it.
private final class LoadingPlatform: DevicePlatform {
    let traits = PlatformTraits.fake
    private let load: @Sendable (ModelConfig) throws -> Void
    private let step: @Sendable (ModelConfig) throws(DeviceFault) -> Void

    init(
        load: @escaping @Sendable (ModelConfig) throws -> Void = { _ in },
        step: @escaping @Sendable (ModelConfig) throws(DeviceFault) -> Void = { (_) throws(DeviceFault) in }
    ) {
        self.load = load
        self.step = step
    }

    func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery {
        .found([DiscoveredDevice(name: "0", summary: "fake")])
    }

    func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice {
        LoadingDevice(load: load, step: step)
    }
}

/// A device with one such model.
private final class LoadingDevice: MeshDevice {
    let models: ModelRegistry<LoadingDevice>
    let platform = PlatformTraits.fake
    let meshShape = MeshShape(rows: 1, columns: 1)
    let summary = "fake device"

    init(
        load: @escaping @Sendable (ModelConfig) throws -> Void,
        step: @escaping @Sendable (ModelConfig) throws(DeviceFault) -> Void
    ) {
        var registry = ModelRegistry<LoadingDevice>()
        registry.register("TTLlamaForCausalLM") { initialization, _ in
            try load(initialization.config)
            let model = FakeTTModel(
                initialization,
                capabilities: ModelCapabilities(supportsSampleOnDevice: true, deviceDraws: .sampleStream),
                language: TinyModel.language)
            model.beforeStep = { (_) throws(DeviceFault) in try step(initialization.config) }
            return model
        }
        models = registry
    }

    func close() {}
}
