// Owns the loaded model: its devices, engines, tokenizer and chat template. Clients connect to it and disconnect.

import CoreMetrics
import Engine
package import Logging
package import ModelFiles
package import Platform
package import Prompts
package import Runtime
package import Tokenizers
import Worker

/// The parts of a model that need no device; errors in them are found before anything is loaded.
package struct OpenedModel: Sendable {
    /// The name by which it was requested.
    package let name: String
    package let config: ModelConfig
    let encoder: PromptEncoder
    let defaults: SamplingDefaults
    let options: ModelOptions
    /// The files that decide about its results.
    let files: [String]
    let warnings: [String]

    /// Opens the model's file and reads its configuration, tokenizer and chat template.
    ///
    /// - Throws: `ModelFailure`.
    package init(_ name: String, in catalogue: ModelCatalogue) throws(ModelFailure) {
        do {
            let bundle = try ModelBundle(try catalogue.resolve(name))
            self.name = name
            config = bundle.config
            encoder = try PromptEncoder(bundle)
            defaults = bundle.samplingDefaults
            options = bundle.options
            files = bundle.files + (bundle.options.templatePath.map { [$0] } ?? [])
            warnings = bundle.warnings
        } catch {
            throw ModelFailure(error)
        }
    }
}

/// Has at most one model loaded, with one device for each replica. It is used by one thread at a time.
package final class ModelHost {
    /// A model that is ready for requests.
    package struct Loaded {
        /// The name by which it was requested.
        package let name: String
        /// The limits that each replica's engine runs with.
        package let limits: StepLimits
        /// Prepares requests for it.
        package let preparer: RequestPreparer
        /// Converts its tokens to text.
        package let tokenizer: Tokenizer
        /// What of it decides about results, by names; nil if its files could not be read for their SHA-256.
        package let systemMembers: [String: String]?
        fileprivate let engines: [EngineThread]

        /// How many replicas run it.
        package var replicaCount: Int { engines.count }
    }

    private let settings: EngineConfiguration
    private let platforms: PlatformCatalogue
    private let isStopping: @Sendable () -> Bool
    private let digests: DigestCache
    private let live: LiveModel?
    private let clock: TimeSource
    private let log: Logger
    private var clients = 0
    /// The loaded model.
    package private(set) var loaded: Loaded?

    /// A host without a model.
    ///
    /// - Parameters:
    ///   - platforms: the platforms from which the configuration's device is chosen.
    ///   - digestCache: the folder of the SHA-256 of models that were read before.
    ///   - live: told of the model that is loaded, for online requests; nil if there are none.
    ///   - isStopping: whether loading must be abandoned.
    package init(
        _ settings: EngineConfiguration, platforms: PlatformCatalogue, digestCache: String, live: LiveModel? = nil,
        isStopping: @escaping @Sendable () -> Bool, clock: TimeSource, log: Logger
    ) {
        self.settings = settings
        self.platforms = platforms
        digests = DigestCache(folder: digestCache)
        self.live = live
        self.isStopping = isStopping
        self.clock = clock
        self.log = log
        // Shown as 0 from the start.
        _ = Counter.deviceFailures
    }

    deinit { close() }

    /// Unloads the current model and loads another.
    ///
    /// - Throws: `ModelFailure`; no model is loaded then.
    package func load(_ model: OpenedModel) throws(ModelFailure) -> Loaded {
        close()
        for warning in model.warnings { log.warning("\(model.name): \(warning)") }
        let began = ContinuousClock.now
        let digest = ModelDigest(files: model.files, digests)
        let engines: [EngineThread]
        do throws(ModelFailure) { engines = try startEngines(model) } catch {
            digest.abandon()
            if case .device = error.cause { Counter.deviceFailures.increment() }
            throw error
        }
        let members = systemMembers(model, digest, engines[0])
        log.info("\(model.name) is ready after \(Int((ContinuousClock.now - began) / .milliseconds(1))) ms")
        // All replicas have the same limits.
        let limits = engines[0].limits
        let loaded = Loaded(
            name: model.name, limits: limits,
            preparer: RequestPreparer(
                encoder: model.encoder, maxModelLen: limits.maxModelLen, vocabularySize: limits.vocabularySize,
                defaults: model.defaults),
            tokenizer: model.encoder.tokenizer,
            systemMembers: members, engines: engines)
        self.loaded = loaded
        live?.begin(loaded, on: self)
        return loaded
    }

    /// Waits for the SHA-256 of the model's files, which takes longer than loading only the first time.
    private func systemMembers(
        _ model: OpenedModel, _ digest: ModelDigest, _ replica: EngineThread
    ) -> [String: String]? {
        do throws(ModelFileError) {
            guard let sums = try digest.sha256(unless: isStopping) else { return nil }
            return Serving.systemMembers(model, sha256: sums, on: replica)
        } catch {
            log.warning("\(error). Results do not tell what made them (docs/rerun.md)")
            return nil
        }
    }

    /// Connects a client to the loaded model.
    ///
    /// - Parameter sink: receives the reports of each replica's engine, on that engine's thread; it must not block.
    package func connect<Ticket>(
        to model: Loaded, sink: @escaping @Sendable (EngineReport, Replica) -> Void
    ) -> Connection<Ticket> {
        clients += 1
        let client = ClientID(clients)
        let engines = model.engines
        return Connection(
            replicas: Replicas(engines.map(\.commands), slots: model.limits.maxNumSeqs, client: client, sink: sink),
            disconnect: { EngineThread.disconnect(client, from: engines) })
    }

    /// Unloads the model and closes its devices. Clients get their requests in flight back.
    package func close() {
        guard let engines = loaded?.engines else { return }
        live?.end()
        loaded = nil
        EngineThread.end(engines)
    }

    /// The settings and the share of engines that also take online requests. Where rows cost nothing, the slots of online
    /// requests come to those of batches.
    private func shared(
        _ settings: EngineConfiguration, _ platform: any DevicePlatform
    ) -> (EngineConfiguration, OnlineShare?) {
        guard let live else { return (settings, nil) }
        var settings = settings
        if platform.traits.computesOnProcessors { settings.maxNumSeqs += live.share.slots }
        let slots = min(live.share.slots, settings.maxNumSeqs - 1)
        guard slots > 0 else { return (settings, nil) }
        return (settings, OnlineShare(slots: slots, prefillTokens: live.share.prefillTokens))
    }

    /// Starts the replicas one after another: devices must not be opened at the same time (TT contract §2.6), and the
    /// first start of a TT model writes converted weights, which the others read.
    private func startEngines(_ model: OpenedModel) throws(ModelFailure) -> [EngineThread] {
        var engines: [EngineThread] = []
        do {
            let platform = try platforms.choose(settings, log: log.deviceLog(of: .only))
            let (own, share) = shared(settings, platform)
            for replica in Replica.all(settings.dataParallelSize) {
                let user = DeviceUser(log: log.deviceLog(of: replica), isStopping: isStopping)
                let settings = engines.first.map { own.sized(like: $0.limits) } ?? own
                engines.append(
                    try EngineThread(clock: clock) { [log] in
                        try openEngine(model, platform, settings, share, replica, user, log)
                    })
            }
        } catch {
            EngineThread.end(engines)
            throw ModelFailure(error)
        }
        return engines
    }
}

/// A client's use of a model, until it disconnects.
package struct Connection<Ticket: Sendable> {
    /// The replicas that run the client's requests.
    package let replicas: Replicas<Ticket>
    /// Disconnects the client: requests in flight are reported as returned, and no reports follow. Returns requests
    /// that no engine will report because a fault had ended it.
    package let disconnect: () -> [RequestID]

    /// A connection that `disconnect` ends.
    package init(replicas: Replicas<Ticket>, disconnect: @escaping () -> [RequestID]) {
        self.replicas = replicas
        self.disconnect = disconnect
    }
}

extension EngineConfiguration {
    /// The settings for a further replica when the first has `limits`: a request must have the same result on each, so
    /// the sizes no longer depend on the free memory.
    fileprivate func sized(like limits: StepLimits) -> EngineConfiguration {
        var settings = self
        settings.maxModelLen = maxModelLen == .fit ? .fitted(limits.maxModelLen) : maxModelLen
        settings.numBlocksOverride = limits.kvCache.blockCount
        settings.kvCacheMemoryBytes = nil
        return settings
    }
}

/// Opens a replica's device and creates an engine with the model on it.
private func openEngine(
    _ model: OpenedModel, _ platform: any DevicePlatform, _ settings: EngineConfiguration, _ share: OnlineShare?,
    _ replica: Replica, _ user: DeviceUser, _ log: Logger
) throws -> OpenedEngine {
    let device = try openDevice(platform, settings, for: model.config, as: replica, user)
    log.info("\(replica.prefix)device: \(device.summary)")
    let endOfGeneration = model.encoder.tokenizer.endOfGenerationTokens
    let worker = try TTWorker(
        device: device, configuration: settings, model: model.config, endOfGenerationTokens: endOfGeneration)
    // Warnings about the settings are the same for each replica and are logged once.
    let warnings = replica.index == 0 ? worker.configuration.warnings : device.warnings
    for warning in warnings { log.warning("\(replica.prefix)\(warning)") }
    let engine = TTEngine(executor: worker, endOfGeneration: endOfGeneration, share: share)
    return OpenedEngine(
        engine: engine, limits: worker.limits,
        arithmetic: worker.configuration.arithmetic(on: device),
        metrics: EngineMetrics(
            engine.statistics, of: model.name, replica, on: device, blockTokens: worker.configuration.blockSize),
        close: { worker.close() })
}

/// Opens the device. Settings that do not fit are a failure of opening it, not of the model, unless the device has no
/// class for the model.
private func openDevice(
    _ platform: any DevicePlatform, _ settings: EngineConfiguration, for model: ModelConfig, as replica: Replica,
    _ user: DeviceUser
) throws -> any MeshDevice {
    do {
        return try platform.openMeshDevice(settings, for: model, as: replica, user: user)
    } catch let error as ConfigurationError {
        if case .noModel = error { throw error }
        throw ModelFailure(opening: error)
    } catch let error as any PlatformError where error.cause != .model {
        throw ModelFailure(opening: error)
    }
}
