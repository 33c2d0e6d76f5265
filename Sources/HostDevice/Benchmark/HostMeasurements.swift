// What a benchmark of the host device found.

public import Platform

/// A kind of step of one shape.
public struct StepMeasurement: Sendable, Equatable {
    /// What the step did.
    public enum Shape: Sendable, Equatable {
        /// Prompts from their first token on.
        case prefill(prompts: Int, length: Int)
        /// One token of each row, with `context` tokens or some more in the cache.
        case decode(rows: Int, context: Int)
    }

    /// The step.
    public let shape: Shape
    /// Wall-clock seconds of the median step, without a profile.
    public let seconds: Double
    /// Where the threads' time went, with a profile.
    public let shares: ThreadShares
    /// The layers' products while they ran.
    public let layers: ProductSpeed
    /// The output head's product while it ran.
    public let head: ProductSpeed
    /// Bytes a second of weights, keys and values that a decode step reads, if it reads each once.
    public let readBytesPerSecond: Double?
    /// Allocations in all measured steps of the shape together; `nil` where nothing counts them.
    public let allocations: Int?

    /// Tokens that went through the layers in a step.
    public var tokens: Int {
        switch shape {
        case .prefill(let prompts, let length): prompts * length
        case .decode(let rows, _): rows
        }
    }

    /// Tokens a second.
    public var tokensPerSecond: Double { Double(tokens) / seconds }
}

/// Shares of the threads' time, wall-clock time × threads being 1.
public struct ThreadShares: Sendable, Equatable {
    private let shares: [KernelKind: Double]

    init(_ step: StepTimes.Step, threads: Int) {
        shares = step.threadSeconds.mapValues { $0 / (step.seconds * Double(threads)) }
    }

    /// In a kind of kernel.
    public subscript(kind: KernelKind) -> Double { shares[kind] ?? 0 }

    /// In no kernel: handing out work, waiting for each other, and everything that one thread does alone.
    public var outside: Double { 1 - shares.values.reduce(0, +) }
}

/// How fast products were, all threads together.
public struct ProductSpeed: Sendable, Equatable {
    /// A multiply-add is two operations.
    public let operationsPerSecond: Double
    /// The least time that the limits allow as a share of the time taken.
    public let shareOfPeak: Double

    /// - Parameters:
    ///   - cost: everything that was done.
    ///   - threadSeconds: what it took of the time of all threads.
    init(_ cost: ProductCost, threadSeconds: Double, limits: HostLimits.Rates) {
        let seconds = threadSeconds / Double(limits.threads)
        operationsPerSecond = Double(cost.operations) / seconds
        shareOfPeak = cost.seconds(at: limits) / seconds
    }
}

/// The same step with one thread and with all, the median of each, measured in turn.
public struct ThreadScaling: Sendable, Equatable {
    /// The step.
    public let shape: StepMeasurement.Shape
    /// Seconds of one thread.
    public let oneThreadSeconds: Double
    /// Seconds of all threads.
    public let allThreadsSeconds: Double

    /// How many times faster all threads are.
    public var factor: Double { oneThreadSeconds / allThreadsSeconds }
}

/// Everything that a benchmark found.
public struct HostBenchmarkReport: Sendable {
    /// Processor, threads and kernels.
    public let device: String
    /// What keys and values are kept as.
    public let kvCacheDType: KVCacheDType
    /// What the steps are measured against.
    public let limits: HostLimits
    /// What the model's steps cost.
    public let cost: ModelCost
    /// Seconds to read and pack the weights, with all threads.
    public let loadSeconds: Double
    /// Prefill steps.
    public let prefills: [StepMeasurement]
    /// Decode steps.
    public let decodes: [StepMeasurement]
    /// A prefill and a decode step; empty on a device of one thread.
    public let scaling: [ThreadScaling]
}
