// Loads a model and starts the threads of a session.

import JobStore
import Logging
import ModelFiles
import TTEngine
import TTNNDevice
import TTPlatform
import TTWorker
import Tokenizer

/// The parts of a model that need no device: what can be wrong with them is found before a job is claimed.
struct SessionLoading {
    private let name: String
    private let configuration: Configuration
    private let platforms: PlatformCatalogue
    private let log: Logger
    private let config: ModelConfig
    private let encoder: PromptEncoder
    private var tokenizer: Tokenizer { encoder.tokenizer }

    /// Opens the model's file and reads its configuration, tokenizer and chat template.
    ///
    /// - Throws: `ModelLookupError`, `ModelFileError`, `TokenizerError`.
    init(model name: String, configuration: Configuration, platforms: PlatformCatalogue, log: Logger) throws {
        let entry = try configuration.catalogue.resolve(name)
        let file = try GGUFFile(path: entry.path)
        self.name = name
        self.configuration = configuration
        self.platforms = platforms
        self.log = log
        config = try ModelConfig(gguf: file)
        encoder = try PromptEncoder(file.metadata)
    }

    /// Opens the replicas' devices, loads the weights and works until the session ends.
    ///
    /// - Parameter isLoaded: called when the weights are there and the devices warm.
    func run(
        _ queue: WorkQueue, drains: Bool, stop: StopSignal, clock: DaemonClock, suspicion: Suspicion,
        isLoaded: () throws -> Void
    ) throws -> SessionEnd {
        let all = Replica.all(configuration.engine.dataParallelSize)
        let inFlight = InFlight(replicas: all.count)
        let writer = ResultWriter(
            store: queue.store, incarnation: queue.incarnation, inFlight: inFlight, settings: configuration.daemon,
            stop: stop, suspicion: suspicion, detokenizer: { [tokenizer] in Detokenizer(tokenizer) }, clock: clock,
            log: log)
        let began = ContinuousClock.now
        let engines = try startEngines(all, stop: stop, clock: clock, writer.mailbox)
        do {
            try isLoaded()
        } catch {
            _ = EngineThread.end(engines)
            throw error
        }
        log.info("\(name) is ready after \(Int((ContinuousClock.now - began) / .milliseconds(1))) ms")
        // All replicas have the same sizes.
        let limits = engines[0].limits
        let replicas = Replicas(engines.map(\.commands), inFlight: inFlight, slots: limits.maxNumSeqs)
        writer.setStopEngine(replicas.stop)
        writer.start()
        let preparer = JobPreparer(encoder: encoder, limits: limits)
        var session = Session(
            model: LoadedModel(name: name, since: clock.now), queue: queue, settings: configuration.daemon, stop: stop,
            drains: drains, replicas: replicas, writer: writer, inFlight: inFlight, suspicion: suspicion, log: log,
            prepare: preparer.prepare)
        return try session.feed(engines)
    }

    /// Starts the replicas one after another, as devices are to be opened (TT contract §2.6); and the first start of a TT
    /// model writes its converted weights where the others find them.
    private func startEngines(
        _ replicas: [Replica], stop: StopSignal, clock: DaemonClock, _ reports: Mailbox<WriterMessage>
    ) throws -> [EngineThread] {
        let platform = try platforms.choose(configuration.engine, log: log.deviceLog(of: .only))
        var engines: [EngineThread] = []
        do {
            for replica in replicas {
                let user = DeviceUser(log: log.deviceLog(of: replica), isStopping: { stop.level != .none })
                let settings = engines.first.map { configuration.engine.sized(like: $0.limits) } ?? configuration.engine
                engines.append(
                    try EngineThread(
                        clock: clock,
                        build: { [config, tokenizer, log] in
                            try openEngine(
                                config, platform, settings, replica, tokenizer.endOfGenerationTokens, user, log)
                        },
                        report: { reports.send(.engine($0, of: replica)) }))
            }
        } catch {
            _ = EngineThread.end(engines)
            throw error
        }
        return engines
    }
}

extension EngineConfiguration {
    /// The settings for a replica beside one that has `limits`: a job must fare the same on each, so that what is free now
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
    _ model: ModelConfig, _ platform: any DevicePlatform, _ settings: EngineConfiguration, _ replica: Replica,
    _ endOfGeneration: Set<Int32>, _ user: DeviceUser, _ log: Logger
) throws -> OpenedEngine {
    let device: any MeshDevice
    do {
        device = try platform.openMeshDevice(settings, for: model, as: replica, user: user)
    } catch let error as ConfigurationError {
        if case .noModel = error { throw error }
        throw UnopenedDevice(cause: error)
    } catch let error as TTNNError {
        throw UnopenedDevice(cause: error)
    }
    log.info("\(replica.prefix)device: \(device.summary)")
    let worker = try TTWorker(
        device: device, configuration: settings, model: model, endOfGenerationTokens: endOfGeneration)
    // What the settings lead to is the same on each, and told once.
    let warnings = replica.index == 0 ? worker.configuration.warnings : device.warnings
    for warning in warnings { log.warning("\(replica.prefix)\(warning)") }
    return OpenedEngine(
        engine: TTEngine(executor: worker, endOfGeneration: endOfGeneration), limits: worker.limits,
        close: { worker.close() })
}
