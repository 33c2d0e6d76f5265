// The CPU as a mesh of one device.

import Glibc
public import TTPlatform

/// The opened host device: threads, kernels, and the models that run on them.
public final class HostMeshDevice: MeshDevice {
    let pool: ThreadPool
    let kernels: KernelSet
    private let topology: HostTopology
    /// What could not be heeded of what was asked for.
    public let warnings: [ConfigurationWarning]

    /// Opens the host.
    ///
    /// - Parameters:
    ///   - threads: most threads to use; never more than the processors that affinity and cgroup quota allow, which is
    ///     said in `warnings`, and by default one for each physical core among them.
    ///   - bindThreads: binds each thread of the pool to a core; one core is left to the thread that calls.
    /// - Throws: `HostDeviceError`.
    public init(threads: Int? = nil, bindThreads: Bool = false) throws(HostDeviceError) {
        let topology = try HostTopology()
        let allowed = topology.allowedProcessorCount
        let count = max(1, min(threads ?? topology.allowedCoreCount, allowed))
        kernels = try KernelSet.fromEnvironment()
        self.topology = topology
        warnings = threads.map { Self.warnings(threads: $0, allowed: allowed) } ?? []
        if bindThreads {
            pool = ThreadPool(threadCount: count) { topology.bindCurrentThread(toProcessorAt: $0) }
        } else {
            pool = ThreadPool(threadCount: count)
        }
    }

    private static func warnings(threads: Int, allowed: Int) -> [ConfigurationWarning] {
        guard threads > allowed else { return [] }
        return [
            ConfigurationWarning(
                key: "threads",
                message: "lowered from \(threads) to the number of processors that this process may use: \(allowed)")
        ]
    }

    deinit { close() }

    /// `host`.
    public var platformName: String { "host" }
    /// (1, 1).
    public var meshShape: MeshShape { MeshShape(rows: 1, columns: 1) }
    /// Processor, threads and kernels.
    public var summary: String {
        "\(topology.processorName), \(pool.threadCount) thread\(pool.threadCount == 1 ? "" : "s"), \(kernels.name)"
    }

    /// `TTLlamaForCausalLM`.
    public var models: ModelRegistry {
        var registry = ModelRegistry()
        registry.register("TTLlamaForCausalLM") { initialization, device in
            guard let host = device as? HostMeshDevice else {
                throw HostDeviceError.unsupportedMesh(device.platformName)
            }
            return try HostLlamaModel(initialization, kernels: host.kernels, pool: host.pool)
        }
        return registry
    }

    /// What the machine and the cgroup have free.
    public var availableKVCacheBytes: Int? { AvailableMemory.forCache() }

    /// Ends the threads; models that are still there go on with the caller's thread alone.
    public func close() { pool.stop() }
}
