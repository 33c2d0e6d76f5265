// Loads a model and starts the threads of a session.

import JobStore
import Logging
import ModelFiles
import TTEngine
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
    private let tokenizer: Tokenizer
    private let template: ChatTemplateState

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
        tokenizer = try Tokenizer(file.metadata)
        template = ChatTemplateState(file.metadata, tokenizer)
    }

    /// Opens the device, loads the weights and works until the session ends.
    func run(
        _ queue: WorkQueue, drains: Bool, stop: StopSignal, clock: DaemonClock, suspicion: Suspicion
    ) throws -> SessionEnd {
        let inFlight = InFlight()
        let writer = ResultWriter(
            store: queue.store, incarnation: queue.incarnation, inFlight: inFlight, settings: configuration.daemon,
            stop: stop, suspicion: suspicion, detokenizer: { [tokenizer] in Detokenizer(tokenizer) }, clock: clock,
            log: log)
        let began = ContinuousClock.now
        let engine = try EngineThread(
            clock: clock,
            build: { [config, configuration, platforms, tokenizer, log] in
                try openEngine(
                    config, configuration, platforms, tokenizer.endOfGenerationTokens,
                    DeviceUser(log: log.deviceLog, isStopping: { stop.level != .none }), log)
            },
            report: { [mailbox = writer.mailbox] in mailbox.send(.engine($0)) })
        log.info("\(name) is ready after \(Int((ContinuousClock.now - began) / .milliseconds(1))) ms")
        writer.setStopEngine { [commands = engine.commands] in commands.send(.stop($0)) }
        writer.start()
        let preparer = JobPreparer(tokenizer: tokenizer, template: template, limits: engine.limits)
        var session = Session(
            model: LoadedModel(name: name, since: clock.now), queue: queue, settings: configuration.daemon, stop: stop,
            drains: drains, lookahead: 2 * engine.limits.maxNumSeqs, engine: engine.commands, writer: writer,
            inFlight: inFlight, suspicion: suspicion, log: log, prepare: preparer.prepare)
        return try session.feed(engine)
    }
}

/// Opens the device that the configuration asks for and puts an engine with the model on it.
private func openEngine(
    _ model: ModelConfig, _ configuration: Configuration, _ platforms: PlatformCatalogue,
    _ endOfGeneration: Set<Int32>, _ user: DeviceUser, _ log: Logger
) throws -> OpenedEngine {
    let device = try platforms.open(configuration.engine, for: user)
    log.info("device: \(device.summary)")
    let worker = try TTWorker(
        device: device, configuration: configuration.engine, model: model, endOfGenerationTokens: endOfGeneration)
    for warning in worker.configuration.warnings { log.warning("\(warning)") }
    return OpenedEngine(
        engine: TTEngine(executor: worker, endOfGeneration: endOfGeneration), limits: worker.limits,
        close: { worker.close() })
}
