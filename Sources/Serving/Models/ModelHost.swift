// Owns the model that is loaded: its devices, engines, tokenizer and chat template. Clients come and go.

import Engine
package import Logging
package import ModelFiles
package import Platform
package import Prompts
package import Runtime
package import Tokenizers
import Worker

/// The parts of a model that need no device: what can be wrong with them is found before anything is loaded.
package struct OpenedModel: Sendable {
    /// The name that it was asked for by.
    package let name: String
    let config: ModelConfig
    let encoder: PromptEncoder

    /// Opens the model's file and reads its configuration, tokenizer and chat template.
    ///
    /// - Throws: `ModelFailure`.
    package init(_ name: String, in catalogue: ModelCatalogue) throws(ModelFailure) {
        do {
            let file = try GGUFFile(path: try catalogue.resolve(name).path)
            self.name = name
            config = try ModelConfig(gguf: file)
            encoder = try PromptEncoder(file.metadata)
        } catch {
            throw ModelFailure(error)
        }
    }
}

/// Has at most one model loaded, on as many devices as it has replicas. It is used by one thread at a time.
package final class ModelHost {
    /// A model that is ready for requests.
    package struct Loaded {
        /// The name that it was asked for by.
        package let name: String
        /// The sizes that each replica's engine runs with.
        package let limits: StepLimits
        /// Makes requests ready for it.
        package let preparer: RequestPreparer
        /// Makes text of its tokens.
        package let tokenizer: Tokenizer
        fileprivate let engines: [EngineThread]
    }

    private let settings: EngineConfiguration
    private let platforms: PlatformCatalogue
    private let isStopping: @Sendable () -> Bool
    private let clock: TimeSource
    private let log: Logger
    private var clients = 0
    /// The model that is loaded.
    package private(set) var loaded: Loaded?

    /// A host without a model.
    ///
    /// - Parameters:
    ///   - platforms: where the configuration's device is looked for.
    ///   - isStopping: whether loading is to be given up.
    package init(
        _ settings: EngineConfiguration, platforms: PlatformCatalogue, isStopping: @escaping @Sendable () -> Bool,
        clock: TimeSource, log: Logger
    ) {
        self.settings = settings
        self.platforms = platforms
        self.isStopping = isStopping
        self.clock = clock
        self.log = log
    }

    deinit { close() }

    /// Loads a model in place of the one that is loaded.
    ///
    /// - Throws: `ModelFailure`; nothing is loaded then.
    package func load(_ model: OpenedModel) throws(ModelFailure) -> Loaded {
        close()
        let began = ContinuousClock.now
        let engines = try startEngines(model)
        log.info("\(model.name) is ready after \(Int((ContinuousClock.now - began) / .milliseconds(1))) ms")
        // All replicas have the same sizes.
        let limits = engines[0].limits
        let loaded = Loaded(
            name: model.name, limits: limits,
            preparer: RequestPreparer(encoder: model.encoder, maxModelLen: limits.maxModelLen),
            tokenizer: model.encoder.tokenizer, engines: engines)
        self.loaded = loaded
        return loaded
    }

    /// Connects a client to the model that is loaded.
    ///
    /// - Parameter sink: takes what the engine of a replica tells, on that engine's thread; it must not block.
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

    /// Unloads the model and closes its devices. What clients have in flight is put back.
    package func close() {
        guard let engines = loaded?.engines else { return }
        loaded = nil
        EngineThread.end(engines)
    }

    /// Starts the replicas one after another: devices are not to be opened at the same time (TT contract §2.6), and the first
    /// start of a TT model writes its converted weights where the others find them.
    private func startEngines(_ model: OpenedModel) throws(ModelFailure) -> [EngineThread] {
        var engines: [EngineThread] = []
        do {
            let platform = try platforms.choose(settings, log: log.deviceLog(of: .only))
            for replica in Replica.all(settings.dataParallelSize) {
                let user = DeviceUser(log: log.deviceLog(of: replica), isStopping: isStopping)
                let settings = engines.first.map { self.settings.sized(like: $0.limits) } ?? self.settings
                engines.append(
                    try EngineThread(clock: clock) { [log] in
                        try openEngine(model, platform, settings, replica, user, log)
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
    /// Where requests go.
    package let replicas: Replicas<Ticket>
    /// Ends the use: what is in flight is reported as put back, and then nothing more. Returns requests that no engine will
    /// report, because a fault had ended it.
    package let disconnect: () -> [RequestID]

    /// A connection that `disconnect` ends.
    package init(replicas: Replicas<Ticket>, disconnect: @escaping () -> [RequestID]) {
        self.replicas = replicas
        self.disconnect = disconnect
    }
}

extension EngineConfiguration {
    /// The settings for a replica beside one that has `limits`: a request must fare the same on each, so that what is free now
    /// decides nothing any more.
    fileprivate func sized(like limits: StepLimits) -> EngineConfiguration {
        var settings = self
        settings.maxModelLen = maxModelLen == .fit ? .fitted(limits.maxModelLen) : maxModelLen
        settings.numBlocksOverride = limits.kvCache.blockCount
        settings.kvCacheMemoryBytes = nil
        return settings
    }
}

/// Opens a replica's device and puts an engine with the model on it.
private func openEngine(
    _ model: OpenedModel, _ platform: any DevicePlatform, _ settings: EngineConfiguration, _ replica: Replica,
    _ user: DeviceUser, _ log: Logger
) throws -> OpenedEngine {
    let device = try openDevice(platform, settings, for: model.config, as: replica, user)
    log.info("\(replica.prefix)device: \(device.summary)")
    let endOfGeneration = model.encoder.tokenizer.endOfGenerationTokens
    let worker = try TTWorker(
        device: device, configuration: settings, model: model.config, endOfGenerationTokens: endOfGeneration)
    // What the settings lead to is the same on each, and told once.
    let warnings = replica.index == 0 ? worker.configuration.warnings : device.warnings
    for warning in warnings { log.warning("\(replica.prefix)\(warning)") }
    return OpenedEngine(
        engine: TTEngine(executor: worker, endOfGeneration: endOfGeneration), limits: worker.limits,
        close: { worker.close() })
}

/// Settings that do not fit are the device's fault here, unless it has no class for the model.
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
