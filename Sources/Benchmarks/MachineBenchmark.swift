// The measurements of `ttbatch bench`: the CPU's limits, the steps of a model on it, and the model's perplexity.

import HostDevice
public import ModelFiles
public import Platform

/// The error for a measurement that cannot be made.
public enum BenchmarkError: Error, Equatable, CustomStringConvertible {
    /// A step needs a longer sequence than the model supports.
    case tooLong(positions: Int, model: String, longest: Int)
    /// The text has too few tokens for a perplexity.
    case tooShort(path: String, tokens: Int)
    /// The text cannot be read.
    case unreadable(path: String)

    /// One line for people.
    public var description: String {
        switch self {
        case .tooLong(let positions, let model, let longest):
            "the steps need sequences of \(positions) tokens, and \(model) has at most \(longest); "
                + "give smaller lengths and contexts"
        case .tooShort(let path, let tokens):
            "\(path): \(tokens) tokens are too few for a perplexity; give a longer text"
        case .unreadable(let path):
            "\(path): cannot be read as UTF-8 text; check the path and its permissions"
        }
    }
}

/// Measures this machine's CPU as the device.
public struct MachineBenchmark {
    /// Steps to measure.
    public struct Steps: Sendable {
        /// The numbers of rows in decode steps.
        public var batchSizes: [Int]
        /// The numbers of tokens in the cache when decoding starts.
        public var contexts: [Int]
        /// The lengths of the prompts, in tokens.
        public var promptLengths: [Int]
        /// The number of rounds. Each round measures everything once.
        public var rounds: Int

        /// Makes a choice of steps. All numbers must be at least 1, with at least one of each kind.
        public init(batchSizes: [Int], contexts: [Int], promptLengths: [Int], rounds: Int) {
            self.batchSizes = batchSizes
            self.contexts = contexts
            self.promptLengths = promptLengths
            self.rounds = rounds
        }
    }

    let engine: EngineConfiguration
    private let model: String
    private let catalogue: ModelCatalogue
    let device: HostMeshDevice

    /// Opens the CPU with the configured number of threads.
    ///
    /// - Parameter model: the name of the model to measure, in `catalogue`.
    /// - Throws: `HostDeviceError`.
    public init(_ engine: EngineConfiguration, model: String, in catalogue: ModelCatalogue) throws {
        self.engine = engine
        self.model = model
        self.catalogue = catalogue
        device = try HostMeshDevice(threads: engine.threads, bindThreads: engine.bindThreads)
    }

    /// The model's file.
    var entry: CatalogueEntry { get throws { try catalogue.resolve(model) } }

    /// Settings that could not be applied.
    public var warnings: [String] {
        let replicas = engine.dataParallelSize
        return device.warnings.map(\.description)
            + (replicas == 1 ? [] : ["data_parallel_size: one replica is measured, on the whole machine"])
    }

    /// Measures only the limits, `rounds` times. No model is needed.
    ///
    /// - Throws: `HostDeviceError`.
    public func limits(rounds: Int) throws -> [MeasuredTable] {
        [.limits(try HostLimits(of: device, rounds: rounds))]
    }

    /// Measures the steps of the model.
    ///
    /// - Parameter progress: called with the name of the next measurement.
    /// - Throws: `ModelLookupError`, `ModelFileError`, `BenchmarkError.tooLong`, `HostDeviceError`, `DeviceFault`.
    public func measure(_ steps: Steps, progress: (String) -> Void) throws -> [MeasuredTable] {
        let entry = try entry
        let config = try ModelBundle(entry).config
        let optimizations = engine.tt.optimizations ?? .performance
        let plan = HostBenchmark.Plan(
            optimizations: optimizations, kvCacheDType: engine.kvCacheDType,
            batchSizes: steps.batchSizes, contexts: steps.contexts, promptLengths: steps.promptLengths,
            rounds: steps.rounds)
        guard plan.longestSequence <= config.contextLength else {
            throw BenchmarkError.tooLong(
                positions: plan.longestSequence, model: entry.name, longest: config.contextLength)
        }
        let report = try HostBenchmark(of: config, on: device, plan: plan).run(progress: progress)
        return MeasuredTable.all(report, model: entry.name, optimizations: optimizations.rawValue)
    }
}
