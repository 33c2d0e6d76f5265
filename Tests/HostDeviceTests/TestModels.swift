// The tiny golden models, loaded on pools of any size, and shorthand for steps.

import Foundation
import ModelFiles
import Platform
import Sampling
import TestSupport
import Testing

@testable import HostDevice

/// A loaded model with its cache, and the threads it runs on.
final class LoadedModel {
    let config: ModelConfig
    let model: HostModel
    let blockSize: Int
    private let maxSequenceLength: Int
    private let pool: ThreadPool

    init(
        path: String, _ optimizations: Optimizations = .accuracy, threads: Int = 1, blockSize: Int = 16,
        blockCount: Int = 256, cache: KVCacheShape? = nil, maxSequenceLength: Int = 256,
        kernels: KernelSet = .available[0],
        kvCacheDType: KVCacheDType? = nil, prepare: (@Sendable () -> Void)? = nil
    ) throws {
        config = try ModelBundle(path: path).config
        pool = ThreadPool(threadCount: threads) { _ in prepare?() }
        model = try HostModel(
            ModelInitialization(
                config: config, maxBatchSize: 8, maxSequenceLength: maxSequenceLength, optimizations: optimizations,
                kvCacheDType: kvCacheDType),
            kernels: kernels, pool: pool)
        let cache = cache ?? KVCacheShape(blockCount: blockCount, blockSize: blockSize)
        self.blockSize = cache.blockSize
        self.maxSequenceLength = maxSequenceLength
        try model.allocateKVCache(cache)
    }

    convenience init(
        tiny name: String, _ optimizations: Optimizations = .accuracy, threads: Int = 1, blockSize: Int = 16,
        kernels: KernelSet = .available[0], kvCacheDType: KVCacheDType? = nil, prepare: (@Sendable () -> Void)? = nil
    ) throws {
        try self.init(
            path: Locations.golden("tiny/\(name).gguf").path, optimizations, threads: threads,
            blockSize: blockSize, kernels: kernels, kvCacheDType: kvCacheDType, prepare: prepare)
    }

    deinit { pool.stop() }

    /// A table whose row r has blocks r·width, r·width + 1 …, in the order that `order` gives them.
    func table(rows: Int, order: (Int) -> Int = { $0 }) -> PageTable {
        let width = (maxSequenceLength + blockSize - 1) / blockSize
        var table = PageTable(rows: rows, width: width)
        for row in 0..<rows { table.setRow(row, to: (0..<width).map { Int32(order(row * width + $0)) }) }
        return table
    }

    /// Logits of the last of `tokens`, which follow `start` others in the cache, prefilled alone.
    func prefill(
        _ tokens: [Int32], start: Int = 0, copies: [BlockCopy] = [], table: PageTable? = nil
    ) throws -> [Float] {
        let output = try model.prefillForward(
            PrefillBatch(
                copies: copies, tokens: [Array(repeating: 0, count: start) + tokens], startPositions: [Int32(start)],
                pageTable: table ?? self.table(rows: 1), slots: [0],
                sampling: [.onHost]))
        return try #require(output.rows[0].logits)
    }

    /// Logits of each row after one decode step.
    func decode(_ tokens: [Int32], _ positions: [Int32], table: PageTable) throws -> [[Float]?] {
        try model.decodeForward(
            DecodeBatch(
                tokens: tokens, positions: positions, pageTable: table,
                sampling: Array(repeating: .onHost, count: tokens.count)),
            plan: .reloadEverything)
        return try model.readDecodeOutput().rows.map(\.logits)
    }

    /// Tokens generated greedily, sampled on the device.
    func generate(_ prompt: [Int32], count: Int) throws -> [Int32] {
        let table = table(rows: 1)
        let first = try model.prefillForward(
            PrefillBatch(
                tokens: [prompt], startPositions: [0], pageTable: table, slots: [0], sampling: [.onDevice(.greedy)]))
        var tokens = [try #require(first.rows[0].token)]
        while tokens.count < count {
            try model.decodeForward(
                DecodeBatch(
                    tokens: [tokens[tokens.count - 1]], positions: [Int32(prompt.count + tokens.count - 1)],
                    pageTable: table, sampling: [.onDevice(.greedy)]),
                plan: tokens.count == 1
                    ? .reloadEverything
                    : DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false))
            tokens.append(try #require(try model.readDecodeOutput().rows[0].token))
        }
        return tokens
    }
}

extension RowOutput {
    var logits: [Float]? { if case .logits(let logits) = self { logits } else { nil } }
    var token: Int32? { if case .token(let token) = self { token.id } else { nil } }
}

/// Tokens that look like a prompt, the same for the same seed.
func someTokens(_ count: Int, seed: UInt64, vocabulary: Int = 256) -> [Int32] {
    var random = SmallRandom(seed: seed)
    return (0..<count).map { _ in Int32(random.next() % UInt64(vocabulary)) }
}

/// What golden files say of a prompt.
struct GoldenRow: Decodable {
    let prompt_token_ids: [Int32]
    let token_ids: [Int32]
    let gaps: [Double]
    let first_logits: [Double]?
}

/// A golden file with the prompts of one model.
struct GoldenModel: Decodable {
    let file: String
    let rows: [GoldenRow]
}

/// Golden data of the tiny models.
struct GoldenModels: Decodable {
    let models: [GoldenModel]

    static func tiny() throws -> [GoldenModel] {
        let data = try Data(contentsOf: Locations.golden("tiny/tiny-greedy.json"))
        return try JSONDecoder().decode(GoldenModels.self, from: data).models
    }
}
