// Measures a model's steps on the host device and compares them with the device's limits.

public import ModelFiles
public import Platform

/// A benchmark of a model on the host device.
public struct HostBenchmark {
    /// What is measured.
    public struct Plan: Sendable {
        /// The trade-off between speed and precision.
        public var optimizations: Optimizations
        /// Data type of the cached keys and values; by default `optimizations` decides.
        public var kvCacheDType: KVCacheDType?
        /// Rows of the decode steps, each at least 1.
        public var batchSizes: [Int]
        /// Tokens that are in the cache when decoding begins, each at least 1.
        public var contexts: [Int]
        /// Tokens of the prompts that are prefilled, each at least 1.
        public var promptLengths: [Int]
        /// Rounds in which everything is measured once, at least 1; more rounds reduce the influence of other programs.
        public var rounds: Int

        /// A plan for all the batch sizes, contexts and prompt lengths; no list is empty.
        public init(
            optimizations: Optimizations, kvCacheDType: KVCacheDType? = nil, batchSizes: [Int], contexts: [Int],
            promptLengths: [Int], rounds: Int
        ) {
            precondition([batchSizes, contexts, promptLengths].allSatisfy { !$0.isEmpty && $0.allSatisfy { $0 > 0 } })
            self.optimizations = optimizations
            self.kvCacheDType = kvCacheDType
            self.batchSizes = batchSizes
            self.contexts = contexts
            self.promptLengths = promptLengths
            precondition(rounds > 0)
            self.rounds = rounds
        }

        /// Positions of the longest sequence.
        public var longestSequence: Int {
            max(promptLengths.max()!, contexts.max()! + BenchmarkedModel.decodePositions)
        }
    }

    private let device: HostMeshDevice
    private let config: ModelConfig
    private let plan: Plan

    /// A benchmark of the model at `config.path`, whose context length must be `plan.longestSequence` or more.
    public init(of config: ModelConfig, on device: HostMeshDevice, plan: Plan) {
        precondition(plan.longestSequence <= config.contextLength)
        self.device = device
        self.config = config
        self.plan = plan
    }

    /// Loads the model and measures: with all threads, with all threads and a profile, and the scaling with one thread.
    ///
    /// Everything, including the limits, is measured in rounds and the median is used. On a shared machine a core may
    /// be faster for some milliseconds; without rounds, that would decide the comparison of two measurements.
    ///
    /// - Parameter progress: receives a line before each part of the benchmark.
    /// - Throws: `ModelFileError`, `HostDeviceError.outOfMemory`, `DeviceFault`.
    public func run(progress: (String) -> Void) throws -> HostBenchmarkReport {
        progress("loading")
        let plain = try load(device.pool)
        let packed = plain.model.parts.weights
        let profiled = try load(device.pool, packed, profiles: true)
        let alone = device.pool.threadCount > 1 ? try load(ThreadPool(threadCount: 1), packed) : nil
        for model in [plain, profiled] { try model.fill(rows: plan.mostRows, context: plan.contexts.max()!) }
        try alone?.fill(rows: plan.scaledRows, context: plan.contexts[0])
        let limits = try LimitMeasurement(of: device)
        let measured = plan.shapes.map(ShapeTimes.init)
        for round in 0...plan.rounds {
            progress(round == 0 ? "warming up" : "round \(round) of \(plan.rounds)")
            limits.measure()
            for times in measured {
                try plain.time(times.shape, into: &times.plain)
                try profiled.time(times.shape, into: &times.profiled)
                guard let alone, plan.isScaled(times.shape) else { continue }
                try alone.time(times.shape, into: &times.alone)
            }
            if round == 0 {
                limits.forget()
                for times in measured { times.forget() }
            }
        }
        let cost = ModelCost(plain.model)
        let found = limits.medians
        let steps = measured.map { measurement($0, cost, found.allThreads) }
        return HostBenchmarkReport(
            device: device.summary, kvCacheDType: plain.model.parts.kvCacheDType, limits: found, cost: cost,
            loadSeconds: plain.loadSeconds,
            prefills: steps.filter { if case .prefill = $0.shape { true } else { false } },
            decodes: steps.filter { if case .decode = $0.shape { true } else { false } },
            scaling: measured.filter { !$0.alone.steps.isEmpty }.map {
                ThreadScaling(
                    shape: $0.shape, oneThreadSeconds: $0.alone.median.seconds,
                    allThreadsSeconds: $0.plain.median.seconds)
            })
    }
}

/// The measurements of steps of one shape.
private final class ShapeTimes {
    let shape: StepMeasurement.Shape
    /// With all threads, without a profile.
    var plain = StepTimes()
    /// With all threads and a profile.
    var profiled = StepTimes()
    /// With one thread, without a profile.
    var alone = StepTimes()

    init(_ shape: StepMeasurement.Shape) { self.shape = shape }

    func forget() { (plain, profiled, alone) = (StepTimes(), StepTimes(), StepTimes()) }
}

extension HostBenchmark.Plan {
    /// Maximum rows of the decode step whose scaling is measured: the default device batch.
    private static let mostScaledRows = 32
    /// Total tokens of a prefill step of several prompts.
    private static let severalPromptsTokens = 1024

    var mostRows: Int { batchSizes.max()! }

    /// Each prompt length with one prompt and with several; each batch size with each context.
    var shapes: [StepMeasurement.Shape] { prefills + decodes }

    private var prefills: [StepMeasurement.Shape] {
        promptLengths.flatMap { length in
            [1, max(2, Self.severalPromptsTokens / length)].map { .prefill(prompts: $0, length: length) }
        }
    }

    private var decodes: [StepMeasurement.Shape] {
        contexts.flatMap { context in batchSizes.map { .decode(rows: $0, context: context) } }
    }

    /// Blocks that the largest measurement needs.
    var blockCount: Int {
        shapes.map {
            switch $0 {
            case .prefill(let prompts, let length): prompts * BenchmarkedModel.blocks(length)
            case .decode(let rows, let context):
                rows * BenchmarkedModel.blocks(context + BenchmarkedModel.decodePositions)
            }
        }.max()!
    }

    /// Rows of the decode step whose scaling is measured.
    var scaledRows: Int { batchSizes.filter { $0 <= Self.mostScaledRows }.max() ?? batchSizes.min()! }

    /// Whether the scaling of a step is measured: only for the longest single prompt and one decode step.
    func isScaled(_ shape: StepMeasurement.Shape) -> Bool {
        shape == .prefill(prompts: 1, length: promptLengths.max()!)
            || shape == .decode(rows: scaledRows, context: contexts[0])
    }
}

extension HostBenchmark {
    private func load(
        _ pool: ThreadPool, _ packed: DecoderWeights? = nil, profiles: Bool = false
    ) throws -> BenchmarkedModel {
        try BenchmarkedModel(
            plan, config: config, kernels: device.kernels, pool: pool, packed: packed, profiles: profiles)
    }

    private func measurement(
        _ times: ShapeTimes, _ cost: ModelCost, _ limits: HostLimits.Rates
    ) -> StepMeasurement {
        let (tokens, outputs) = times.shape.work
        let (plain, profiled) = (times.plain.median, times.profiled.median)
        return StepMeasurement(
            shape: times.shape, seconds: plain.seconds, shares: ThreadShares(profiled, threads: limits.threads),
            layers: ProductSpeed(
                cost.layers(tokens: tokens, outputs: outputs), threadSeconds: profiled.threadSeconds[.products]!,
                limits: limits),
            head: ProductSpeed(
                cost.head * outputs, threadSeconds: profiled.threadSeconds[.logits]!, limits: limits),
            readBytesPerSecond: times.shape.readBytes(cost).map { $0 / plain.seconds },
            allocations: times.plain.allocations)
    }
}

extension StepMeasurement.Shape {
    /// Tokens that go through the layers, and rows with an output.
    fileprivate var work: (tokens: Int, outputs: Int) {
        switch self {
        case .prefill(let prompts, let length): (prompts * length, prompts)
        case .decode(let rows, _): (rows, rows)
        }
    }

    /// Bytes that a decode step reads on average.
    fileprivate func readBytes(_ cost: ModelCost) -> Double? {
        guard case .decode(let rows, let context) = self else { return nil }
        return cost.decodeBytes(rows: rows, context: BenchmarkedModel.attended(context: context))
    }
}
