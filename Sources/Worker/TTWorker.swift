// The worker: brings a model up on an open device, runs steps on it, and takes it down in the right order.

public import ModelFiles
public import Platform

/// What state a worker is in.
public enum WorkerHealth: Sendable, Equatable {
    /// Steps can be run.
    case ready
    /// A step failed; the device has to be opened again, with a new worker.
    case failed(DeviceFault)
    /// The worker was closed.
    case closed
}

/// One replica of a model on a device of its own.
///
/// A worker is used from one thread at a time. After a fault it runs nothing more, because nobody knows what the
/// device's memory holds.
public final class TTWorker: StepExecutor {
    /// The sizes that bound every step.
    public let limits: StepLimits
    /// The settings in force, with the warnings about them.
    public let configuration: CheckedConfiguration
    /// What the model can do on its device.
    public let capabilities: ModelCapabilities
    /// Whether steps can be run.
    public private(set) var health = WorkerHealth.ready

    private let device: any MeshDevice
    private var runner: TTModelRunner?

    /// Loads `model` on `device`, sizes and allocates the KV cache, and warms up unless that is switched off.
    ///
    /// - Parameters:
    ///   - device: an open device for this worker alone; the worker closes it, also when this throws.
    ///   - configuration: the settings as given.
    ///   - model: the model to load.
    ///   - endOfGenerationTokens: the model's tokens that end generation; masked while `min_tokens` is in force.
    /// - Throws: `ConfigurationError`, `ModelFileError`, `DeviceFault`, or the model's own error while loading.
    public init(
        device: any MeshDevice, configuration: EngineConfiguration, model config: ModelConfig,
        endOfGenerationTokens: Set<Int32>
    ) throws {
        do {
            var checked = try TTPlatform.checkAndUpdateConfig(
                configuration, model: config, platform: device.platform,
                deviceCount: device.meshShape.deviceCount, chipArchitecture: device.chipArchitecture,
                maxTokensAllUsers: try device.maxTokensAllUsers(
                    of: config, maxModelLen: configuration.longestModelLen(of: config),
                    maxNumSeqs: configuration.maxNumSeqs),
                defaultTraceMode: device.defaultTraceMode, deviceWarnings: device.warnings)
            try Self.check(endOfGenerationTokens, config)
            let model = try TTModelLoader.load(config, configuration: checked, device: device)
            try TTPlatform.check(&checked, against: model.capabilities, model: config.name)
            let pool = try KVBlockCount.pool(
                checked, model: config.name, bytesPerBlock: model.kvCacheBytes(blockSize: checked.blockSize),
                availableBytes: device.availableKVCacheBytes,
                maxTokensAllUsers: try device.maxTokensAllUsers(
                    of: config, maxModelLen: checked.maxModelLen, maxNumSeqs: checked.maxNumSeqs),
                hasNullBlock: model.capabilities.needsNullBlock)
            // Smaller than asked for only where that may be made to fit.
            let maxModelLen = min(checked.maxModelLen, pool.blockCount * pool.blockSize)
            let width = min((checked.maxModelLen + pool.blockSize - 1) / pool.blockSize, pool.blockCount)
            try model.allocateKVCache(pool)
            if checked.tt.enableModelWarmup {
                try model.warmUp(
                    WarmUpPlan(
                        decodeBatchSize: checked.maxNumSeqs, pageTableWidth: width,
                        traceMode: checked.tt.traceMode != .none,
                        samplePrefillOnDevice: checked.tt.sampleOnDeviceMode.samplesPrefill,
                        sampleDecodeOnDevice: checked.tt.sampleOnDeviceMode.samplesDecode))
            }
            limits = StepLimits(
                maxNumSeqs: checked.maxNumSeqs, maxModelLen: maxModelLen,
                maxNumBatchedTokens: checked.maxNumBatchedTokens, kvCache: pool,
                vocabularySize: config.vocabularySize,
                canRaiseMaxModelLen: configuration.canRaiseMaxModelLen(for: config),
                prefixSharing: checked.prefixSharing,
                prefillPadding: model.capabilities.prefillPadding,
                mixesSampling: model.capabilities.deviceSamplingScope != .oneSetAStep
                    || checked.tt.sampleOnDeviceMode == .none)
            self.configuration = checked
            capabilities = model.capabilities
            self.device = device
            runner = TTModelRunner(
                model: model, configuration: checked, limits: limits, pageTableWidth: width,
                endOfGenerationTokens: endOfGenerationTokens)
        } catch {
            device.close()
            throw error
        }
    }

    deinit { close() }

    /// Whether decode steps go on by themselves: a device that is not this processor.
    public var runsStepsAsync: Bool { capabilities.runsDecodeAsync }

    /// Prepares a step; a decode step is started.
    ///
    /// - Throws: `DeviceFault` where the device failed, or the step contradicts the batch; the worker runs nothing more then.
    public func begin(_ step: ScheduledStep) throws(DeviceFault) {
        try run { runner throws(DeviceFault) in try runner.begin(step) }
    }

    /// Ends the step that was begun and gives one output for each of its rows, in the order of the rows.
    ///
    /// - Throws: `DeviceFault` where the device failed or gave nonsense; the worker runs nothing more then.
    public func finish() throws(DeviceFault) -> [RequestOutput] {
        try run { runner throws(DeviceFault) in try runner.finish() }
    }

    private func run<Result>(_ body: (TTModelRunner) throws(DeviceFault) -> Result) throws(DeviceFault) -> Result {
        switch health {
        case .failed(let fault): throw fault
        case .closed: throw DeviceFault(operation: "scheduled step", reason: "the worker is closed")
        case .ready: break
        }
        guard let runner else { preconditionFailure("a worker that is ready has a runner") }
        do {
            return try body(runner)
        } catch {
            health = .failed(error)
            throw error
        }
    }

    /// Releases the model with its traces and KV cache, then the device (TT contract §2.6); idempotent.
    public func close() {
        guard health != .closed else { return }
        health = .closed
        runner = nil
        device.close()
    }

    private static func check(
        _ endOfGenerationTokens: Set<Int32>, _ model: ModelConfig
    ) throws(ModelFileError) {
        for token in endOfGenerationTokens where !(0..<model.vocabularySize).contains(Int(token)) {
            throw .unsupported(
                path: model.path,
                what: "the end-of-generation token \(token) of a vocabulary of \(model.vocabularySize) tokens")
        }
    }
}
