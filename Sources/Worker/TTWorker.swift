// The worker: loads a model on an open device, runs steps on it, and releases model and device in the right order.

public import ModelFiles
public import Platform

/// The state of a worker.
public enum WorkerHealth: Sendable, Equatable {
    /// Steps can be run.
    case ready
    /// A step failed; the device has to be opened again, with a new worker.
    case failed(DeviceFault)
    /// The worker was closed.
    case closed
}

/// One replica of a model on its own device.
///
/// A worker is used by one thread at a time. After a fault it runs no more steps, because the content of the device's
/// memory is unknown.
public final class TTWorker: StepExecutor {
    /// The limits of every step.
    public let limits: StepLimits
    /// The settings in force, with the warnings about them.
    public let configuration: CheckedConfiguration
    /// The model's capabilities on its device.
    public let capabilities: ModelCapabilities
    /// Whether steps can be run.
    public private(set) var health = WorkerHealth.ready

    private let device: any MeshDevice
    private var runner: TTModelRunner?

    /// Loads `model` on `device`, sizes and allocates the KV cache, and warms up the model if that is enabled.
    ///
    /// - Parameters:
    ///   - device: an open device that no other worker uses; the worker closes it, even if this throws.
    ///   - configuration: the settings as configured.
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
            let groups = model.capabilities.kvCacheWindows.enumerated().map { group, window in
                (window: window, bytesPerBlock: model.kvCacheBytes(blockSize: checked.blockSize, group: group))
            }
            let pool = try KVBlockCount.pool(
                checked, model: config.name, groups: groups,
                availableBytes: device.availableKVCacheBytes,
                maxTokensAllUsers: try device.maxTokensAllUsers(
                    of: config, maxModelLen: checked.maxModelLen, maxNumSeqs: checked.maxNumSeqs),
                hasNullBlock: model.capabilities.needsNullBlock)
            // Shorter than configured only if the length may be lowered to fit the pool.
            let maxModelLen = min(checked.maxModelLen, pool.longestSequence)
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
                    || checked.tt.sampleOnDeviceMode == .none,
                scoresPrompts: model.capabilities.scoresPrompts)
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

    /// Whether decode steps are async, as on a device that is not this processor.
    public var runsStepsAsync: Bool { capabilities.runsDecodeAsync }

    /// Prepares a step; starts it if it is a decode step.
    ///
    /// - Throws: `DeviceFault` if the device failed or the step contradicts the batch; the worker runs no more steps
    ///   then.
    public func begin(_ step: ScheduledStep) throws(DeviceFault) {
        try run { runner throws(DeviceFault) in try runner.begin(step) }
    }

    /// Waits for the step that was begun and returns what it gave.
    ///
    /// - Throws: `DeviceFault` if the device failed or its output is wrong; the worker runs no more steps then.
    public func finish() throws(DeviceFault) -> StepResult {
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
