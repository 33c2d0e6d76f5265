// The benchmark's arithmetic, on models small enough to count by hand, and its measurements' shape.

import CHostKernels
import Foundation
import ModelFiles
import Platform
import TestSupport
import Testing

@testable import HostDevice

@Suite struct BenchmarkTests {
    /// Every kernel set says how many multiply-adds its tile did, because each added one.
    @Test(arguments: KernelSet.available.map(\.name))
    func peaksDoTheWorkThatTheyCount(name: String) throws {
        let kernels = try KernelSet.choose(named: name).table
        for run in [kernels.peak_dot, kernels.peak_fma] {
            let each = run(1)
            #expect(each > 0)
            #expect(run(0) == 0)
            #expect(run(1000) == 1000 * each)
            #expect(run(100_000) == 100_000 * each)
        }
        let words = (0..<1024).map { UInt32($0) &* 0x9E37_79B9 }
        #expect(kernels.read_all(words, words.count) == words.reduce(0, &+))
        #expect(kernels.read_all(words, 0) == 0)
    }

    @Test func packedBytesAreThoseThatTheMatrixHolds() throws {
        let pool = ThreadPool(threadCount: 1)
        // 40 outputs are two panels of 32.
        let elements = 512 * 64
        let groups = elements / 32
        let cases: [(TensorType, int8: Bool, expected: Int)] = [
            (.f32, false, 4 * elements), (.f16, true, 2 * elements),
            (.q4_1, false, elements / 2 + 8 * groups), (.q4_1, true, elements / 2 + 4 * groups + 4 * 64),
            (.q2_K, false, elements / 2 + 16 * groups), (.q2_K, true, elements + 8 * groups),
            (.q5_1, true, elements + 8 * groups),
            (.q8_0, false, elements + 4 * groups), (.q8_0, true, elements + 4 * groups),
            (.q6_K, true, elements + 4 * groups),
        ]
        for (type, int8, expected) in cases {
            let zeros = [UInt8](repeating: 0, count: 512 / type.blockElements * type.blockBytes * 40)
            let matrix = try zeros.withUnsafeBytes {
                try PackedMatrix(
                    PackedRows(type: type, bytes: $0, inputs: 512, outputs: 40), int8: int8, pool: pool)
            }
            #expect(matrix.layout.byteCount == expected, "type \(type), int8 \(int8)")
        }
    }

    /// The multiply-adds of a llama layer, from the configuration.
    private func expected(_ config: ModelConfig) -> (layers: Int, head: Int, position: Int) {
        let queries = config.attentionHeadCount * config.headSize
        let keys = config.keyValueHeadCount * config.headSize
        let layer = config.hiddenSize * (2 * queries + 2 * keys + 3 * config.intermediateSize)
        return (config.layerCount * layer, config.hiddenSize * config.vocabularySize, 2 * config.layerCount * keys)
    }

    @Test func costsOfTheTinyModels() throws {
        for name in GoldenModelTests.tinyNames {
            let exact = try LoadedModel(tiny: name, .accuracy)
            let (layers, head, position) = expected(exact.config)
            let cost = ModelCost(exact.model)
            #expect(cost.layers == ProductCost(int8MultiplyAdds: 0, floatMultiplyAdds: layers), "\(name)")
            #expect(cost.head == ProductCost(int8MultiplyAdds: 0, floatMultiplyAdds: head), "\(name)")
            #expect(cost.positionBytes == 4 * position)
            let (config, keysAndValues) = (exact.config, exact.config.hiddenSize * position / exact.config.layerCount)
            #expect(
                cost.layers(tokens: 5, outputs: 2).floatMultiplyAdds
                    == 5 * layers - 3 * (layers / config.layerCount - keysAndValues))
            #expect(cost.decodeBytes(rows: 3, context: 10) == Double(cost.weightBytes + 30 * 4 * position))

            let fast = ModelCost(try LoadedModel(tiny: name, .performance).model)
            #expect(fast.layers.operations == 2 * layers)
            #expect(fast.weightBytes <= cost.weightBytes)
            #expect(fast.positionBytes == 2 * position)
        }
        let floats = ModelCost(try LoadedModel(tiny: "tiny-f32", .performance).model)
        #expect(floats.layers.int8MultiplyAdds == 0)
        let quantized = ModelCost(try LoadedModel(tiny: "tiny-q8_0", .performance).model)
        #expect(quantized.layers.floatMultiplyAdds == 0)
    }

    @Test func speedsAreWorkOverThreadTime() {
        let limits = HostLimits.Rates(
            threads: 2, int8OperationsPerSecond: 400, floatOperationsPerSecond: 100, readBytesPerSecond: 1)
        // 8 thread seconds are 4 seconds of both; at the limits it would be 400/400 + 100/100.
        let speed = ProductSpeed(
            ProductCost(int8MultiplyAdds: 200, floatMultiplyAdds: 50), threadSeconds: 8, limits: limits)
        #expect(speed.operationsPerSecond == 125)
        #expect(speed.shareOfPeak == 0.5)

        let step = StepTimes.Step(seconds: 6, threadSeconds: [.products: 6, .attention: 3], allocations: nil)
        let shares = ThreadShares(step, threads: 2)
        #expect(shares[.products] == 0.5 && shares[.attention] == 0.25 && shares[.rows] == 0)
        #expect(shares.outside == 0.25)
    }

    @Test func theMedianOfTheStepsCounts() {
        var times = StepTimes()
        for (seconds, allocations) in [(9.0, 1), (2, 0), (4, 0), (3, 2), (90, 0)] {
            times.add(StepTimes.Step(seconds: seconds, threadSeconds: [:], allocations: allocations))
        }
        #expect(times.median.seconds == 4)
        #expect(times.allocations == 3)
        times.add(StepTimes.Step(seconds: 1, threadSeconds: [:], allocations: nil))
        #expect(times.allocations == nil)
    }

    @Test func aRunMeasuresEveryStepOfItsPlan() throws {
        let device = try HostMeshDevice(threads: 2)
        defer { device.close() }
        let path = Locations.golden("tiny/tiny-q4_1.gguf").path
        let plan = HostBenchmark.Plan(
            optimizations: .performance, batchSizes: [1, 3], contexts: [20, 7], promptLengths: [16],
            rounds: 2)
        let report = try HostBenchmark(of: try ModelBundle(path: path).config, on: device, plan: plan).run { _ in }
        #expect(report.prefills.map(\.shape) == [.prefill(prompts: 1, length: 16), .prefill(prompts: 64, length: 16)])
        #expect(
            report.decodes.map(\.shape) == [
                .decode(rows: 1, context: 20), .decode(rows: 3, context: 20), .decode(rows: 1, context: 7),
                .decode(rows: 3, context: 7),
            ])
        for step in report.prefills + report.decodes {
            #expect(step.seconds > 0 && step.tokensPerSecond > 0)
            for kind in [KernelKind.rows, .products, .attention, .logits, .sampling] { #expect(step.shares[kind] > 0) }
            #expect((0..<1).contains(step.shares.outside))
            #expect(step.layers.operationsPerSecond > 0 && step.head.shareOfPeak > 0)
            let isDecode = if case .decode = step.shape { true } else { false }
            #expect((step.readBytesPerSecond != nil) == isDecode)
        }
        let isAlone = report.limits.allThreads.threads == 1
        let scaled: [StepMeasurement.Shape] = [.prefill(prompts: 1, length: 16), .decode(rows: 3, context: 20)]
        #expect(report.scaling.map(\.shape) == (isAlone ? [] : scaled))
        for rates in [report.limits.oneThread, report.limits.allThreads] {
            #expect(rates.int8OperationsPerSecond > 0 && rates.floatOperationsPerSecond > 0)
            #expect(rates.readBytesPerSecond > 0)
        }
    }
}
