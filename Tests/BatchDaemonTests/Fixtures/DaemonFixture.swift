// A queue with a daemon for it, and the daemon on a thread of its own where a test does something meanwhile.

import FakeModel
import Foundation
import Logging
import Platform
import QueueFixture
import Runtime
import SQLiteStore
import Sampling
import StoreContract
import Synchronization
import TestSupport
import Testing

@testable import BatchDaemon
@testable import Settings
@testable import TTNNSettings

/// A queue, a configuration for a fake device with four slots, and short ways to use them.
final class DaemonFixture {
    private let queue: QueueFixture
    /// The daemon's.
    let store: any JobStore
    var configuration: Configuration
    let stop = StopSignal()
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        queue = try QueueFixture()
        store = try SQLiteJobStore(path: queue.path, at: 0)
        var daemon = DaemonSettings()
        daemon.pollIntervalMS = 2
        daemon.commitIntervalMS = 2
        daemon.storeRetryMS = 2
        daemon.backoffMS = 2
        daemon.metricsIntervalMS = 5
        var engine = EngineConfiguration()
        engine.maxNumSeqs = 4
        configuration = Configuration(
            database: .file(queue.path), model: "tiny", catalogue: queue.catalogue,
            digestCache: queue.folder.file("sha256"), engine: engine,
            bridge: BridgeConfiguration(), daemon: daemon)
    }

    var folder: TemporaryFolder { queue.folder }
    /// What other processes use.
    var client: any JobStore { queue.client }

    /// Enqueues lines as a client does.
    func enqueue(
        _ lines: [String], model: String? = nil, priority: Int64 = 0, skipsInvalid: Bool = false
    ) throws -> BatchID {
        try queue.enqueue(
            lines, model: model, priority: #require(BatchPriority(rawValue: priority)), skipsInvalid: skipsInvalid)
    }

    /// All results that there are, in order of input.
    func results(_ batch: BatchID) throws -> [JobResult] { try queue.results(batch) }

    /// Every job of the batch as it stands.
    func jobs(_ batch: BatchID) throws -> [JobResult] { try queue.jobs(batch) }

    func daemon(
        _ platform: any DevicePlatform, store: (any JobStore)? = nil, scope: WorkScope = .everything,
        drains: Bool = true
    ) -> DaemonService {
        DaemonService(
            store: store ?? self.store, configuration: configuration, platforms: PlatformCatalogue([platform]),
            scope: scope, drains: drains, stop: stop, log: log)
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
        DetachedThread.start("daemon", stackSize: 8 << 20) { [outcome] in outcome.send(Result { try daemon.run() }) }
    }

    /// Waits for its end, and throws what it threw.
    func end() throws { try outcome.receiveWaiting()[0].get() }
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
