// The results of a benchmark of the host device.

public import Platform

/// The results for steps of one shape.
public struct StepMeasurement: Sendable, Equatable {
    /// The shape of a step.
    public enum Shape: Sendable, Equatable {
        /// `prompts` whole prompts of `length` tokens each.
        case prefill(prompts: Int, length: Int)
        /// One token of each row, with `context` tokens or a few more in the cache.
        case decode(rows: Int, context: Int)
    }

    /// The step.
    public let shape: Shape
    /// Wall-clock seconds of the median step, without a profile.
    public let seconds: Double
    /// How the threads' time is divided, with a profile.
    public let shares: ThreadShares
    /// The speed of the layers' products.
    public let layers: ProductSpeed
    /// The speed of the output head's product.
    public let head: ProductSpeed
    /// Bytes per second of weights, keys and values, if a decode step reads each once.
    public let readBytesPerSecond: Double?
    /// Allocations in all measured steps of the shape together; `nil` if they are not counted.
    public let allocations: Int?

    /// Tokens that went through the layers in a step.
    public var tokens: Int {
        switch shape {
        case .prefill(let prompts, let length): prompts * length
        case .decode(let rows, _): rows
        }
    }

    /// Tokens per second.
    public var tokensPerSecond: Double { Double(tokens) / seconds }
}

/// Shares of the threads' time; 1 is wall-clock time × threads.
public struct ThreadShares: Sendable, Equatable {
    private let shares: [KernelKind: Double]

    init(_ step: StepTimes.Step, threads: Int) {
        shares = step.threadSeconds.mapValues { $0 / (step.seconds * Double(threads)) }
    }

    /// The share of a kind of kernel.
    public subscript(kind: KernelKind) -> Double { shares[kind] ?? 0 }

    /// The share outside kernels: handing out work, waiting for other threads, and everything that one thread does
    /// alone.
    public var outside: Double { 1 - shares.values.reduce(0, +) }
}

/// The speed of products, of all threads together.
public struct ProductSpeed: Sendable, Equatable {
    /// Operations per second; a multiply-add is two operations.
    public let operationsPerSecond: Double
    /// The shortest time that the limits allow, as a share of the measured time.
    public let shareOfPeak: Double

    /// - Parameters:
    ///   - cost: the products that were computed.
    ///   - threadSeconds: their time, summed over all threads.
    init(_ cost: ProductCost, threadSeconds: Double, limits: HostLimits.Rates) {
        let seconds = threadSeconds / Double(limits.threads)
        operationsPerSecond = Double(cost.operations) / seconds
        shareOfPeak = cost.seconds(at: limits) / seconds
    }
}

/// The median times of the same step with one thread and with all, measured alternately.
public struct ThreadScaling: Sendable, Equatable {
    /// The step.
    public let shape: StepMeasurement.Shape
    /// Seconds with one thread.
    public let oneThreadSeconds: Double
    /// Seconds with all threads.
    public let allThreadsSeconds: Double

    /// How many times faster all threads are.
    public var factor: Double { oneThreadSeconds / allThreadsSeconds }
}

/// The results of a benchmark.
public struct HostBenchmarkReport: Sendable {
    /// Processor, threads and kernels.
    public let device: String
    /// Data type of the cached keys and values.
    public let kvCacheDType: KVCacheDType
    /// The peak rates that the steps are compared with.
    public let limits: HostLimits
    /// The cost of the model's steps.
    public let cost: ModelCost
    /// Seconds to read and pack the weights, with all threads.
    public let loadSeconds: Double
    /// Prefill steps.
    public let prefills: [StepMeasurement]
    /// Decode steps.
    public let decodes: [StepMeasurement]
    /// The scaling of a prefill and of a decode step; empty on a device with one thread.
    public let scaling: [ThreadScaling]
}
