// What is said of a model without loading it is what loading says and does.

import Foundation
import ModelFiles
import Platform
import RandomModels
import TestSupport
import Testing

@testable import HostDevice

@Suite struct ModelCheckTests {
    /// The estimated cost is the loaded model's, for every element type, family and mode.
    private func compare(_ path: String, quantize: Quantization? = nil) throws {
        var entry = CatalogueEntry(name: "model", path: path)
        if let quantize {
            var options = ModelOptions()
            options.quantize = quantize
            entry = CatalogueEntry(name: "model", path: path, options: options)
        }
        let bundle = try ModelBundle(entry)
        let check = HostModelCheck(bundle)
        #expect(check.faults == [], "\(path)")
        let description = try #require(check.description)
        let pool = ThreadPool(threadCount: 1)
        defer { pool.stop() }
        for mode in Optimizations.allCases {
            let model = try HostModel(
                ModelInitialization(
                    config: bundle.config, maxBatchSize: 1, maxSequenceLength: 64, optimizations: mode,
                    kvCacheDType: nil), kernels: KernelSet.available[0], pool: pool)
            let estimate = try #require(check.estimate(mode))
            #expect(estimate.cost == ModelCost(model), "\(path), \(mode)")
            for blockSize in [16, 20] {
                let eachLayer = model.kvCacheBytes(blockSize: blockSize) / description.layers.count
                for length in [1, 2 * blockSize, 2 * blockSize + 1] {
                    let blocks = keptBlocks(description, length: length, blockSize: blockSize)
                    let bytes = estimate.cacheBytes(
                        length: length, blockSize: blockSize, type: ModelEstimate.cacheType(mode))
                    #expect(bytes == eachLayer * blocks, "\(path), \(mode), \(length) of \(blockSize)")
                }
            }
        }
    }

    /// Blocks of all layers that the last token of a sequence attends to.
    private func keptBlocks(_ description: ModelDescription, length: Int, blockSize: Int) -> Int {
        description.layers.reduce(0) { sum, layer in
            guard case .attention(let attention) = layer.mixer else { return sum }
            let first = attention.window.map { max(0, length - $0) } ?? 0
            return sum + (length + blockSize - 1) / blockSize - first / blockSize
        }
    }

    @Test func estimatesAreWhatLoadingTakes() throws {
        for name in GoldenModelTests.tinyNames { try compare(Locations.golden("tiny/\(name).gguf").path) }
        for quantize in Quantization.allCases {
            try compare(Locations.golden("tiny/tiny-f16.gguf").path, quantize: quantize)
        }
    }

    @Test(arguments: RandomModel.names) func estimatesOfFamiliesAreWhatLoadingTakes(name: String) throws {
        let model = try RandomModel(name)
        try compare(try #require(model.containers.first))
    }

    @Test func speedsFollowTheSlowestPart() throws {
        let check = HostModelCheck(try ModelBundle(path: Locations.golden("tiny/tiny-q8_0.gguf").path))
        let estimate = try #require(check.estimate(.performance))
        let (fast, slow) = (1e30, 1e6)
        func limits(_ operations: Double, _ bytes: Double) -> HostLimits.Rates {
            HostLimits.Rates(
                threads: 1, int8OperationsPerSecond: operations, floatOperationsPerSecond: operations,
                readBytesPerSecond: bytes)
        }
        // All rows read the weights together, so without contexts that bounds them is the number of steps.
        let reading = limits(fast, slow)
        let one = estimate.decodeTokensPerSecond(rows: 1, context: 0, at: reading)
        #expect(abs(estimate.decodeTokensPerSecond(rows: 8, context: 0, at: reading) / one - 8) < 1e-9)
        #expect(estimate.decodeTokensPerSecond(rows: 8, context: 64, at: reading) < 8 * one)
        // A longer context takes longer, whatever is slow.
        for limits in [reading, limits(slow, fast)] {
            let speeds = [0, 64, 256].map { estimate.decodeTokensPerSecond(rows: 2, context: $0, at: limits) }
            #expect(speeds[0] > speeds[1] && speeds[1] > speeds[2])
        }
        // Each row has products of its own.
        let computing = limits(slow, fast)
        let alone = estimate.decodeTokensPerSecond(rows: 1, context: 64, at: computing)
        #expect(abs(estimate.decodeTokensPerSecond(rows: 8, context: 64, at: computing) / alone - 1) < 1e-9)
        #expect(estimate.prefillTokensPerSecond(length: 1, at: computing) > alone)
    }

    /// The first fault is the one with which loading ends, and other layers' follow.
    @Test func everyLayersFaultIsFound() throws {
        let bundle = try ModelBundle(path: Locations.golden("tiny/tiny-f16.gguf").path)
        let description = try bundle.description()
        #expect(DecoderTensors.faults(bundle.weights, description) == [])
        var wide = description
        for index in wide.layers.indices {
            guard case .dense(var dense) = wide.layers[index].feedForward else { continue }
            dense.width += 32
            wide.layers[index].feedForward = .dense(dense)
        }
        let faults = DecoderTensors.faults(bundle.weights, wide)
        #expect(faults.count == description.layers.count)
        let first = #expect(throws: ModelFileError.self) { try DecoderTensors(bundle.weights, wide) }
        #expect(faults.first == first)
        // Without the last layers, their tensors are not used: each is named.
        var short = description
        short.layers.removeLast()
        let unused = DecoderTensors.faults(bundle.weights, short)
        let prefix = "blk.\(short.layers.count)."
        #expect(unused.count == bundle.weights.tensors.keys.count { $0.hasPrefix(prefix) } && unused.count > 1)
        #expect(unused.first == #expect(throws: ModelFileError.self) { try DecoderTensors(bundle.weights, short) })
    }
}
