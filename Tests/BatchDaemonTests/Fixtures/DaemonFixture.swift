// A database with a daemon for it, and the daemon on a thread of its own where a test does something meanwhile.

import FakeModel
import Foundation
import Logging
import Platform
import Runtime
import SQLiteStore
import StoreContract
import Synchronization
import Testing

@testable import BatchDaemon
@testable import Intake
@testable import ModelFiles
@testable import Settings
@testable import TTNNSettings

/// A database, a configuration for a fake device with four slots, and short ways to use them.
final class DaemonFixture {
    let folder: TemporaryFolder
    /// The daemon's.
    let store: SQLiteJobStore
    /// What other processes use.
    let client: SQLiteJobStore
    var configuration: Configuration
    let stop = StopSignal()
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        folder = try TemporaryFolder()
        let path = try folder.file("jobs.db")
        store = try SQLiteJobStore(path: path, at: 0)
        client = try SQLiteJobStore(path: path, at: 0)
        var daemon = DaemonSettings()
        daemon.pollIntervalMS = 2
        daemon.commitIntervalMS = 2
        daemon.storeRetryMS = 2
        daemon.backoffMS = 2
        daemon.metricsIntervalMS = 5
        var engine = EngineConfiguration()
        engine.maxNumSeqs = 4
        configuration = Configuration(
            databasePath: path, model: "tiny",
            catalogue: ModelCatalogue(
                directory: folder.path, named: ["tiny": TinyModel.path, "other": TinyModel.path]),
            engine: engine, bridge: BridgeConfiguration(), daemon: daemon)
    }

    /// Enqueues lines as a client does.
    func enqueue(
        _ lines: [String], model: String? = nil, priority: Int64 = 0, skipsInvalid: Bool = false
    ) throws -> BatchID {
        var options = Enqueuer.Options(defaultModel: configuration.model)
        options.requestedModel = model
        options.priority = try #require(BatchPriority(rawValue: priority))
        options.skipsInvalid = skipsInvalid
        let path = try folder.file("prompts.jsonl", lines.joined(separator: "\n"))
        return try Enqueuer(store: client, catalogue: configuration.catalogue, options: options)
            .enqueue(paths: [path]) { _ in }[0].batch
    }

    func daemon(
        _ platform: any DevicePlatform, store: (any JobStore)? = nil, scope: WorkScope = .everything,
        drains: Bool = true
    ) -> DaemonService {
        DaemonService(
            store: store ?? self.store, configuration: configuration, platforms: PlatformCatalogue([platform]),
            scope: scope, drains: drains, stop: stop, log: log)
    }

    /// All results that there are, in order of input.
    func results(_ batch: BatchID) throws -> [JobResult] {
        try client.results(ResultQuery(batch: batch), after: 0, limit: 10_000)
    }

    /// Every job of the batch as it stands.
    func jobs(_ batch: BatchID) throws -> [JobResult] {
        try client.results(
            ResultQuery(batch: batch, states: Set(JobState.allCases)), after: 0, limit: 10_000)
    }

    /// Expects that `batch` ended with what the model says to each of `prompts`.
    func expectAllSucceeded(_ batch: BatchID, _ prompts: [Prompt]) throws {
        let results = try results(batch)
        #expect(try client.batch(batch).status == .completed)
        #expect(results.map(\.generated) == prompts.map(\.expectedTokens))
    }
}

/// A daemon on a thread of its own.
final class RunningDaemon: Sendable {
    private let outcome = Mailbox<Result<Void, any Error>>()

    init(_ daemon: DaemonService) {
        let thread = Thread { [outcome] in outcome.send(Result { try daemon.run() }) }
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Waits for its end, and throws what it threw.
    func end() throws { try outcome.receiveWaiting()[0].get() }
}

/// Something that happens once, for which another thread waits.
final class Event: @unchecked Sendable {
    private let lock = WaitingLock()
    private var count = 0

    /// Signals so far.
    var current: Int { lock.withLock { count } }

    func signal() { lock.change { count += 1 } }

    /// Waits for the `times`-th signal; a test that waits for ever is ended by its time limit.
    func wait(times: Int = 1) { lock.wait(until: { count >= times }, then: {}) }
}

/// A prompt whose last three tokens no other number has, and what the fake language answers to it.
struct Prompt {
    let number: Int
    var maxTokens = 6
    var beginning: [Int32] = []

    var tokens: [Int32] {
        beginning + [Int32(10 + number / 100), Int32(20 + number / 10 % 10), Int32(40 + number % 10)]
    }

    var line: String {
        """
        {"custom_id":"p\(number)","prompt":\(tokens),"max_tokens":\(maxTokens),"temperature":0.5,"seed":\(number),\
        "return_token_ids":true}
        """
    }

    var expectedTokens: [Int32] {
        TinyModel.language.expectedTokens(
            prompt: tokens,
            sampling: SamplingParams(
                token: TTSamplingParams(temperature: 0.5, topK: 0, topP: 1, seed: UInt64(number)),
                maxTokens: maxTokens, minTokens: 0, stopTokenIDs: [], ignoreEOS: false))
    }
}

extension [Prompt] {
    /// `count` different prompts.
    static func some(_ count: Int, maxTokens: Int = 6) -> [Prompt] {
        (0..<count).map { Prompt(number: $0, maxTokens: maxTokens) }
    }

    var lines: [String] { map(\.line) }
}

extension JobResult {
    /// The tokens of a success.
    var generated: [Int32]? {
        if case .succeeded(let generation) = outcome { generation.tokenIDs } else { nil }
    }

    /// The error of a failure.
    var error: JobError? {
        if case .failed(let error) = outcome { error } else { nil }
    }
}
