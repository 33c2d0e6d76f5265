// The worker on the host device with a real, tiny model: rows join, end and move as they do overnight.

import Foundation
import HostDevice
import ModelFiles
import Platform
import Sampling
import TestSupport
import Testing
import Worker

struct HostDeviceScheduleTests {
    static let requests = (0..<3).map { number in
        FixtureRequest(number, number == 1 ? TTSamplingParams(temperature: 1, topP: 0.9, seed: 7) : .greedy)
    }

    /// Each request's first four tokens, alone in the batch.
    static let alone = Result {
        try requests.map { request in
            let worker = try worker()
            defer { worker.close() }
            var tokens = try prefill(worker, [request])
            for _ in 0..<3 { tokens += try decode(worker, [request]) }
            return tokens
        }
    }

    /// Which of three prefilled rows end with their first token, so that the others move before any decode step has run,
    /// and which end one step later.
    @Test(arguments: [[], [0], [1], [0, 1], [0, 2], [0, 1, 2]], [[], [1], [2]])
    func rowsThatEndMoveTheOthers(atOnce: [Int], later: [Int]) throws {
        let worker = try Self.worker()
        defer { worker.close() }
        var tokens = try Self.prefill(worker, Self.requests).map { [$0] }
        var running = [0, 1, 2]
        for leaving in [atOnce, later, []] {
            let gone = running.filter(leaving.contains)
            running.removeAll(where: leaving.contains)
            let rows = running.map { Self.requests[$0] }
            let decoded = try Self.decode(worker, rows, leaving: gone.map { Self.requests[$0].id })
            for (index, token) in zip(running, decoded) { tokens[index].append(token) }
        }
        // Another joins what is left of the batch.
        let again = FixtureRequest(9)
        #expect(try Self.prefill(worker, [again]).count == 1)
        let decoded = try Self.decode(worker, running.map { Self.requests[$0] } + [again])
        #expect(decoded.count == running.count + 1)
        for (found, expected) in zip(tokens, try Self.alone.get()) {
            #expect(found == Array(expected.prefix(found.count)))
        }
    }

    /// Prompts and answers of `maxModelLen` tokens that no memory holds: refused by the size of the pool, not by a crash.
    @Test func aHugeContextIsRefusedWithTheRemedy() throws {
        var config = try Self.model()
        config.contextLength = 1 << 28
        let error = #expect(throws: ConfigurationError.self) {
            try TTWorker(
                device: HostMeshDevice(threads: 1), configuration: EngineConfiguration(), model: config,
                endOfGenerationTokens: [])
        }
        #expect(error?.description.contains("lower max_model_len") == true)
    }

    private static func model() throws -> ModelConfig {
        try ModelBundle(path: Locations.golden("tiny/tiny-q4_0.gguf").path).config
    }

    private static func worker() throws -> TTWorker {
        var configuration = EngineConfiguration()
        configuration.maxNumSeqs = 4
        configuration.maxModelLen = 64
        configuration.blockSize = 8
        configuration.numBlocksOverride = 96
        return try TTWorker(
            device: HostMeshDevice(threads: 1), configuration: configuration, model: model(),
            endOfGenerationTokens: [])
    }

    private static func prefill(_ worker: TTWorker, _ requests: [FixtureRequest]) throws -> [Int32] {
        try worker.tokens(ScheduledStep(leaving: [], work: .prefill(requests.map(\.prefillRow))))
    }

    private static func decode(
        _ worker: TTWorker, _ requests: [FixtureRequest], leaving: [RequestID] = []
    ) throws -> [Int32] {
        let rows = requests.map { DecodeRow(id: $0.id) }
        return try worker.tokens(ScheduledStep(leaving: leaving, work: .decode(rows)))
    }
}
