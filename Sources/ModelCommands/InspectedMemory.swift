// What a model would need of this machine's memory, and how fast it would be.

import HostDevice
import ModelFiles
import Platform
import Settings

/// The memory for a model and for one sequence.
struct InspectedMemory {
    /// Bytes of the packed weights, by mode.
    let weights: [(mode: Optimizations, bytes: Int)]
    /// Bytes of one sequence's keys and values.
    let caches: [(tokens: Int, bytes: [(type: KVCacheDType, bytes: Int)])]
    /// Bytes of weights and cache together for each length, as the configuration has them.
    let totals: [Int]
    /// The mode and the type of the cache of the configuration.
    let mode: Optimizations
    let cacheType: KVCacheDType
    /// Bytes that are free; `nil` if the system does not say.
    let freeBytes = ModelEstimate.freeBytes

    /// The memory for sequences of `lengths` tokens; `nil` if the tensors are refused.
    init?(_ check: HostModelCheck, _ configuration: Configuration, lengths: [Int]) {
        let estimates = Optimizations.allCases.compactMap { mode in check.estimate(mode).map { (mode, $0) } }
        let engine = configuration.engine
        let mode = engine.tt.optimizations ?? .performance
        guard let chosen = estimates.first(where: { $0.0 == mode })?.1 else { return nil }
        self.mode = mode
        weights = estimates.map { ($0.0, $0.1.weightBytes) }
        let type = engine.kvCacheDType ?? ModelEstimate.cacheType(mode)
        cacheType = type
        let blockSize = engine.blockSize ?? TTPlatform.defaultBlockSize
        caches = lengths.map { length in
            (
                length,
                KVCacheDType.allCases.map { ($0, chosen.cacheBytes(length: length, blockSize: blockSize, type: $0)) }
            )
        }
        totals = lengths.map { chosen.weightBytes + chosen.cacheBytes(length: $0, blockSize: blockSize, type: type) }
    }
}

/// The speed of a model, estimated from the measured limits of this machine.
struct InspectedSpeed {
    /// The limits of all threads.
    let limits: HostLimits.Rates
    let prefillTokensPerSecond: Double
    let decodes: [(rows: Int, tokensPerSecond: Double)]
    /// Tokens of the prompts, and those that each row of a decode step attends to.
    let context: Int

    private static let longestContext = 512
    private static let rounds = 3

    /// Measures the limits, which takes about a second; `nil` if the tensors are refused.
    ///
    /// - Throws: `HostDeviceError`.
    init?(_ check: HostModelCheck, _ configuration: Configuration, longestSequence: Int) throws {
        let engine = configuration.engine
        guard let estimate = check.estimate(engine.tt.optimizations ?? .performance) else { return nil }
        let device = try HostMeshDevice(threads: engine.threads, bindThreads: engine.bindThreads)
        defer { device.close() }
        let limits = try HostLimits(of: device, rounds: Self.rounds).allThreads
        let context = min(Self.longestContext, longestSequence)
        self.limits = limits
        self.context = context
        prefillTokensPerSecond = estimate.prefillTokensPerSecond(length: context, at: limits)
        decodes = (engine.maxNumSeqs > 1 ? [1, engine.maxNumSeqs] : [1]).map { rows in
            (rows, estimate.decodeTokensPerSecond(rows: rows, context: context, at: limits))
        }
    }
}
