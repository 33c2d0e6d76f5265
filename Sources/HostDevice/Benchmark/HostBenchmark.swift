// Measures a model's steps on the host device against what the device can do at most.

public import ModelFiles
public import TTPlatform

/// A benchmark of a model on the host device.
public struct HostBenchmark {
    /// What is measured.
    public struct Plan: Sendable {
        /// The trade between speed and precision.
        public var optimizations: Optimizations
        /// What keys and values are kept as; by `optimizations` where not given.
        public var kvCacheDType: KVCacheDType?
        /// Rows of the decode steps, each at least 1.
        public var batchSizes: [Int]
        /// Tokens that are in the cache when decoding begins, each at least 1.
        public var contexts: [Int]
        /// Tokens of the prompts that are prefilled, each at least 1.
        public var promptLengths: [Int]

        /// A plan as given; no list is empty.
        public init(
            optimizations: Optimizations, kvCacheDType: KVCacheDType? = nil, batchSizes: [Int], contexts: [Int],
            promptLengths: [Int]
        ) {
            precondition([batchSizes, contexts, promptLengths].allSatisfy { !$0.isEmpty && $0.allSatisfy { $0 > 0 } })
            self.optimizations = optimizations
            self.kvCacheDType = kvCacheDType
            self.batchSizes = batchSizes
            self.contexts = contexts
            self.promptLengths = promptLengths
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

    /// Loads the model and measures: all threads, all threads with a profile, and one thread beside all.
    ///
    /// Everything is measured in rounds, the limits too, and of each the best counts: what others do on the machine for
    /// some seconds then meets none of it alone.
    ///
    /// - Parameter progress: told what comes next.
    /// - Throws: `ModelFileError`, `HostDeviceError.outOfMemory`, `DeviceFault`.
    public func run(progress: (String) -> Void) throws -> HostBenchmarkReport {
        progress("loading")
        let plain = try load(device.pool)
        let packed = plain.model.parts.weights
        let profiled = try load(device.pool, packed, profiles: true)
        let alone = device.pool.threadCount > 1 ? try load(ThreadPool(threadCount: 1), packed) : nil
        let limitMeasurement = try LimitMeasurement(of: device)
        var limits = limitMeasurement.measure()
        var (rates, profiles, scaled) = ([TimedStep](), [TimedStep](), (one: [TimedStep](), all: [TimedStep]()))
        for round in 1...Self.rounds {
            progress("round \(round) of \(Self.rounds)")
            if round > 1 { limits = limits.best(limitMeasurement.measure()) }
            rates = joined(rates, try steps(plain))
            profiles = joined(profiles, try steps(profiled))
            if let alone {
                let round = try inTurn(alone, plain)
                scaled = (joined(scaled.one, round.one), joined(scaled.all, round.all))
            }
        }
        let cost = ModelCost(plain.model)
        let steps = zip(rates, profiles).map { rate, profile in
            measurement(rate.shape, rate.times, profile.times, cost, limits.allThreads)
        }
        let scaling = zip(scaled.one, scaled.all).map { one, all in
            ThreadScaling(
                shape: one.shape, oneThreadSeconds: one.times.seconds, allThreadsSeconds: all.times.seconds)
        }
        return HostBenchmarkReport(
            device: device.summary, limits: limits, cost: cost, loadSeconds: plain.loadSeconds,
            prefills: steps.filter { if case .prefill = $0.shape { true } else { false } },
            decodes: steps.filter { if case .decode = $0.shape { true } else { false } }, scaling: scaling)
    }
}

extension HostBenchmark.Plan {
    /// Rows of decode steps whose scaling is measured, at most: the default device batch.
    private static let scaledRows = 32
    /// Tokens of several prompts together.
    private static let severalPromptsTokens = 1024

    var mostRows: Int { batchSizes.max()! }

    /// Each length as one prompt and as several.
    var prefills: [(prompts: Int, length: Int)] {
        promptLengths.flatMap { [(1, $0), (max(2, Self.severalPromptsTokens / $0), $0)] }
    }

    /// Blocks that any measurement takes.
    var blockCount: Int {
        let prefilled = prefills.map { $0.prompts * BenchmarkedModel.blocks($0.length) }.max()!
        return max(prefilled, mostRows * BenchmarkedModel.blocks(contexts.max()! + BenchmarkedModel.decodePositions))
    }

    /// The steps whose scaling is measured.
    var scaled: (promptLength: Int, rows: Int, context: Int) {
        let rows = batchSizes.filter { $0 <= Self.scaledRows }.max() ?? batchSizes.min()!
        return (promptLengths.max()!, rows, contexts[0])
    }
}

extension HostBenchmark {
    private static let rounds = 3
    private typealias TimedStep = (shape: StepMeasurement.Shape, times: StepTimes)

    private func load(
        _ pool: ThreadPool, _ packed: LlamaWeights? = nil, profiles: Bool = false
    ) throws -> BenchmarkedModel {
        try BenchmarkedModel(
            plan, config: config, kernels: device.kernels, pool: pool, packed: packed, profiles: profiles)
    }

    private func joined(_ before: [TimedStep], _ now: [TimedStep]) -> [TimedStep] {
        before.isEmpty ? now : zip(before, now).map { ($0.shape, $0.times.joined($1.times)) }
    }

    private func steps(_ model: BenchmarkedModel) throws(DeviceFault) -> [TimedStep] {
        var steps: [TimedStep] = []
        for (prompts, length) in plan.prefills { steps.append(try prefill(model, prompts, length)) }
        for context in plan.contexts {
            try model.fill(rows: plan.mostRows, context: context)
            for rows in plan.batchSizes { steps.append(try decode(model, rows, context)) }
        }
        return steps
    }

    private func prefill(_ model: BenchmarkedModel, _ prompts: Int, _ length: Int) throws(DeviceFault) -> TimedStep {
        (.prefill(prompts: prompts, length: length), try model.prefill(prompts: prompts, length: length))
    }

    private func decode(_ model: BenchmarkedModel, _ rows: Int, _ context: Int) throws(DeviceFault) -> TimedStep {
        (.decode(rows: rows, context: context), try model.decode(rows: rows, context: context))
    }

    /// A prefill and a decode step of one thread, each followed by all threads.
    private func inTurn(
        _ one: BenchmarkedModel, _ all: BenchmarkedModel
    ) throws(DeviceFault) -> (one: [TimedStep], all: [TimedStep]) {
        let (length, rows, context) = plan.scaled
        let prefills = (try prefill(one, 1, length), try prefill(all, 1, length))
        for model in [one, all] { try model.fill(rows: rows, context: context) }
        let decodes = (try decode(one, rows, context), try decode(all, rows, context))
        return ([prefills.0, decodes.0], [prefills.1, decodes.1])
    }

    private func measurement(
        _ shape: StepMeasurement.Shape, _ rates: StepTimes, _ profile: StepTimes, _ cost: ModelCost,
        _ limits: HostLimits.Rates
    ) -> StepMeasurement {
        let (tokens, outputs) = shape.work
        return StepMeasurement(
            shape: shape, seconds: rates.seconds, shares: ThreadShares(profile, threads: limits.threads),
            layers: ProductSpeed(
                cost.layers(tokens: tokens, outputs: outputs), threadSeconds: profile.threadSeconds[.products]!,
                limits: limits),
            head: ProductSpeed(
                cost.head * outputs, threadSeconds: profile.threadSeconds[.logits]!, limits: limits),
            readBytesPerSecond: shape.readBytes(cost, steps: rates.count).map { $0 / rates.seconds },
            allocations: rates.allocations)
    }
}

extension StepMeasurement.Shape {
    /// Tokens that go through the layers, and rows whose next token is wanted.
    fileprivate var work: (tokens: Int, outputs: Int) {
        switch self {
        case .prefill(let prompts, let length): (prompts * length, prompts)
        case .decode(let rows, _): (rows, rows)
        }
    }

    /// Bytes that each of `steps` decode steps reads on average.
    fileprivate func readBytes(_ cost: ModelCost, steps: Int) -> Double? {
        guard case .decode(let rows, let context) = self else { return nil }
        return cost.decodeBytes(rows: rows, context: BenchmarkedModel.attended(context: context, steps: steps))
    }
}
