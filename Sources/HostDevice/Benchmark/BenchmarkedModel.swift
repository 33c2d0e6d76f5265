// A model loaded for measuring: steps of a shape, timed one by one.

import ModelFiles
import TTPlatform

/// Times of like steps, repeated.
struct StepTimes {
    /// Steps that were timed.
    let count: Int
    /// Wall-clock seconds of the fastest step. On a machine that others use too the others slow a step down and never
    /// speed it up: the fastest is what the device can do, as the limits are.
    let seconds: Double
    /// Thread seconds in each kind of kernel, of the fastest step; empty without a profile.
    let threadSeconds: [KernelKind: Double]
    /// Allocations in all steps; `nil` where nothing counts them.
    let allocations: Int?

    /// The same steps measured twice.
    func joined(_ other: StepTimes) -> StepTimes {
        let fastest = other.seconds < seconds ? other : self
        return StepTimes(
            count: count + other.count, seconds: fastest.seconds, threadSeconds: fastest.threadSeconds,
            allocations: allocations.map { $0 + (other.allocations ?? 0) })
    }
}

/// A model with a cache just large enough for a benchmark's steps.
final class BenchmarkedModel {
    static let blockSize = 16
    /// Decode steps before those that count; the first of them loads its inputs.
    private static let warmUpSteps = 3
    static let mostDecodeSteps = 64
    /// Steps are repeated until they have taken this long, within the bounds.
    private static let enough = 0.4

    /// Positions that a decode measurement may take behind its context.
    static var decodePositions: Int { warmUpSteps + mostDecodeSteps }

    let loadSeconds: Double
    let model: HostLlamaModel
    private let profile: StepProfile?
    private let vocabulary: Int

    /// Loads the model, or takes its weights from `packed`, and captures its decode steps.
    ///
    /// - Throws: `ModelFileError`, `HostDeviceError.outOfMemory`, `DeviceFault`.
    init(
        _ plan: HostBenchmark.Plan, config: ModelConfig, kernels: KernelSet, pool: ThreadPool,
        packed: LlamaWeights? = nil, profiles: Bool = false
    ) throws {
        let profile = profiles ? StepProfile(threads: pool.threadCount) : nil
        var loaded: HostLlamaModel?
        loadSeconds = try seconds {
            loaded = try HostLlamaModel(
                ModelInitialization(
                    config: config, maxBatchSize: plan.mostRows, maxSequenceLength: plan.longestSequence,
                    optimizations: plan.optimizations, kvCacheDType: plan.kvCacheDType),
                kernels: kernels, pool: pool, packed: packed, profile: profile)
        }
        model = loaded!
        self.profile = profile
        vocabulary = config.vocabularySize
        try model.allocateKVCache(KVCacheShape(blockCount: plan.blockCount, blockSize: Self.blockSize))
        try model.warmUp(
            WarmUpPlan(
                decodeBatchSize: plan.mostRows, pageTableWidth: Self.blocks(plan.longestSequence), traceMode: true,
                samplePrefillOnDevice: false, sampleDecodeOnDevice: true))
    }

    /// Prompts of `length` tokens, prefilled anew in each step.
    func prefill(prompts: Int, length: Int) throws(DeviceFault) -> StepTimes {
        let batch = prefillBatch(prompts: prompts, length: length, capacity: length)
        _ = try model.prefillForward(batch)
        return try repeated(atMost: 20) { () throws(DeviceFault) in _ = try model.prefillForward(batch) }
    }

    /// Puts `rows` prompts of `context` tokens into the cache for `decode`.
    func fill(rows: Int, context: Int) throws(DeviceFault) {
        let batch = prefillBatch(prompts: rows, length: context, capacity: context + Self.decodePositions)
        _ = try model.prefillForward(batch)
    }

    /// Decode steps of `rows` rows, sampled greedily on the device; `fill` was called with this context.
    func decode(rows: Int, context: Int) throws(DeviceFault) -> StepTimes {
        let batch = DecodeBatch(
            tokens: tokens(rows, row: 0), positions: Array(repeating: Int32(context), count: rows),
            pageTable: Self.pageTable(rows: rows, capacity: context + Self.decodePositions),
            sampling: Array(repeating: .onDevice(.greedy), count: rows))
        let goOn = DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false)
        for step in 0..<Self.warmUpSteps { try decode(batch, step == 0 ? .reloadEverything : goOn) }
        return try repeated(atMost: Self.mostDecodeSteps) { () throws(DeviceFault) in try decode(batch, goOn) }
    }

    private func decode(_ batch: DecodeBatch, _ plan: DecodePlan) throws(DeviceFault) {
        try model.decodeForward(batch, plan: plan)
        _ = try model.readDecodeOutput()
    }

    private func repeated(atMost most: Int, _ step: () throws(DeviceFault) -> Void) throws(DeviceFault) -> StepTimes {
        let counter = AllocationCounter()
        var (count, allocations, total, fastest) = (0, 0, 0.0, Double.infinity)
        var threadSeconds: [KernelKind: Double] = [:]
        while count < 5 || (count < most && total < Self.enough) {
            profile?.reset()
            let before = counter?.count ?? 0
            let time = try seconds(step)
            allocations += (counter?.count ?? 0) - before
            count += 1
            total += time
            guard time < fastest else { continue }
            fastest = time
            if let profile { for kind in KernelKind.allCases { threadSeconds[kind] = profile.seconds(kind) } }
        }
        return StepTimes(
            count: count, seconds: fastest, threadSeconds: threadSeconds, allocations: counter.map { _ in allocations })
    }
}

extension BenchmarkedModel {
    /// Positions that a row attends to on average in the `steps` measured decode steps after `context` tokens.
    static func attended(context: Int, steps: Int) -> Double {
        Double(context + warmUpSteps) + Double(steps + 1) / 2
    }

    /// Blocks of a row of `length` positions.
    static func blocks(_ length: Int) -> Int { (length + blockSize - 1) / blockSize }

    /// Rows of `capacity` positions, one behind the other in the cache.
    private static func pageTable(rows: Int, capacity: Int) -> PageTable {
        let width = blocks(capacity)
        var table = PageTable(rows: rows, width: width)
        for row in 0..<rows { table.setRow(row, to: Int32(row * width)..<Int32((row + 1) * width)) }
        return table
    }

    private func prefillBatch(prompts: Int, length: Int, capacity: Int) -> PrefillBatch {
        PrefillBatch(
            tokens: (0..<prompts).map { tokens(length, row: $0) }, startPositions: Array(repeating: 0, count: prompts),
            pageTable: Self.pageTable(rows: prompts, capacity: capacity), slots: Array(0..<prompts),
            sampling: Array(repeating: .onHost, count: prompts))
    }

    private func tokens(_ count: Int, row: Int) -> [Int32] {
        var random = SmallRandom(seed: UInt64(row))
        return (0..<count).map { _ in Int32(random.next() % UInt64(vocabulary)) }
    }
}
