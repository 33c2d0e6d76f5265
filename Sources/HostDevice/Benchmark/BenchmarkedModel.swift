// A model loaded for a benchmark, whose steps are timed one by one.

import ModelFiles
import Platform
import Sampling

/// Times of steps of the same shape.
struct StepTimes {
    struct Step {
        /// Wall-clock seconds.
        let seconds: Double
        /// Thread seconds in each kind of kernel; empty without a profile.
        let threadSeconds: [KernelKind: Double]
        /// `nil` if allocations are not counted.
        let allocations: Int?
    }

    private(set) var steps: [Step] = []

    /// The step with the median time.
    var median: Step { steps.sorted { $0.seconds < $1.seconds }[steps.count / 2] }
    /// Allocations in all steps; `nil` if they are not counted.
    var allocations: Int? {
        steps.reduce(0) { sum, step in sum.flatMap { sum in step.allocations.map { sum + $0 } } }
    }

    mutating func add(_ step: Step) { steps.append(step) }
}

/// A model with a cache just large enough for a benchmark's steps.
final class BenchmarkedModel {
    static let blockSize = 16
    /// Decode steps before the timed ones: the first loads its inputs, the second is the first to continue from them.
    private static let warmUpSteps = 2
    /// Number of decode steps that are timed in a row.
    private static let decodeSteps = 4

    /// Positions that a decode measurement uses after its context.
    static var decodePositions: Int { warmUpSteps + decodeSteps }

    let loadSeconds: Double
    let model: HostModel
    private let profile: StepProfile?
    private let vocabulary: Int

    /// Loads the model, or uses the weights of `packed`, and captures its decode steps.
    ///
    /// - Throws: `ModelFileError`, `HostDeviceError.outOfMemory`, `DeviceFault`.
    init(
        _ plan: HostBenchmark.Plan, config: ModelConfig, kernels: KernelSet, pool: ThreadPool,
        packed: DecoderWeights? = nil, profiles: Bool = false
    ) throws {
        let profile = profiles ? StepProfile(threads: pool.threadCount) : nil
        var loaded: HostModel?
        loadSeconds = try seconds {
            loaded = try HostModel(
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

    /// Prefills `rows` prompts with as many tokens as the longest decode measurement of `context` uses.
    func fill(rows: Int, context: Int) throws(DeviceFault) {
        let length = context + Self.decodePositions
        _ = try model.prefillForward(prefillBatch(prompts: rows, length: length))
    }

    /// Times a prefill step, or `decodeSteps` decode steps in a row, sampled greedily on the device.
    func time(_ shape: StepMeasurement.Shape, into times: inout StepTimes) throws(DeviceFault) {
        switch shape {
        case .prefill(let prompts, let length):
            let batch = prefillBatch(prompts: prompts, length: length)
            times.add(try timed { () throws(DeviceFault) in _ = try model.prefillForward(batch) })
        case .decode(let rows, let context):
            let batch = decodeBatch(rows: rows, context: context)
            let goOn = DecodePlan(inputs: .keep, reloadSamplingParams: false, resetSamplingState: false)
            for step in 0..<Self.warmUpSteps { try decode(batch, step == 0 ? .reloadEverything : goOn) }
            for _ in 0..<Self.decodeSteps {
                times.add(try timed { () throws(DeviceFault) in try decode(batch, goOn) })
            }
        }
    }

    private func decode(_ batch: DecodeBatch, _ plan: DecodePlan) throws(DeviceFault) {
        try model.decodeForward(batch, plan: plan)
        _ = try model.readDecodeOutput()
    }

    private func timed(_ step: () throws(DeviceFault) -> Void) throws(DeviceFault) -> StepTimes.Step {
        let counter = AllocationCounter()
        profile?.reset()
        let before = counter?.count ?? 0
        let time = try seconds(step)
        let allocations = counter.map { $0.count - before }
        var threadSeconds: [KernelKind: Double] = [:]
        if let profile { for kind in KernelKind.allCases { threadSeconds[kind] = profile.seconds(kind) } }
        return StepTimes.Step(seconds: time, threadSeconds: threadSeconds, allocations: allocations)
    }
}

extension BenchmarkedModel {
    /// Positions that a row attends to on average in the timed decode steps after `context` tokens.
    static func attended(context: Int) -> Double {
        Double(context + warmUpSteps) + Double(decodeSteps + 1) / 2
    }

    /// Blocks of a row of `length` positions.
    static func blocks(_ length: Int) -> Int { (length + blockSize - 1) / blockSize }

    /// A page table of rows of `capacity` positions, with consecutive blocks.
    private static func pageTable(rows: Int, capacity: Int) -> PageTable {
        let width = blocks(capacity)
        var table = PageTable(rows: rows, width: width)
        for row in 0..<rows { table.setRow(row, to: Int32(row * width)..<Int32((row + 1) * width)) }
        return table
    }

    private func prefillBatch(prompts: Int, length: Int) -> PrefillBatch {
        PrefillBatch(
            tokens: (0..<prompts).map { tokens(length, row: $0) }, startPositions: Array(repeating: 0, count: prompts),
            pageTable: Self.pageTable(rows: prompts, capacity: length), slots: Array(0..<prompts),
            sampling: Array(repeating: .onHost, count: prompts))
    }

    private func decodeBatch(rows: Int, context: Int) -> DecodeBatch {
        DecodeBatch(
            tokens: tokens(rows, row: 0), positions: Array(repeating: Int32(context), count: rows),
            pageTable: Self.pageTable(rows: rows, capacity: context + Self.decodePositions),
            sampling: Array(repeating: .onDevice(.greedy), count: rows))
    }

    private func tokens(_ count: Int, row: Int) -> [Int32] {
        var random = SmallRandom(seed: UInt64(row))
        return (0..<count).map { _ in Int32(random.next() % UInt64(vocabulary)) }
    }
}
