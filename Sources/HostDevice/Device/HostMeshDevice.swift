// The CPU as a mesh of one device.

import Glibc
import ModelFiles
public import Platform

/// The opened host device: threads, kernels, and the models that run on them.
public final class HostMeshDevice: MeshDevice {
    let pool: ThreadPool
    let kernels: KernelSet
    private let topology: HostTopology
    private let group: ProcessorGroup
    private let replica: Replica
    private let bytesAvailableAtOpening: Int?
    /// Settings that could not be applied as configured.
    public let warnings: [ConfigurationWarning]

    /// Opens the host.
    ///
    /// - Parameters:
    ///   - threads: maximum number of threads; by default one for each physical core that affinity and cgroup quota
    ///     allow.
    ///     It is limited to the processors that they allow, with a warning.
    ///   - bindThreads: binds each thread of the pool to a core; one core is left for the calling thread.
    ///   - replica: one of several replicas has its own group of the cores. Its threads, and the calling thread from
    ///     now on, stay on them.
    /// - Throws: `HostDeviceError`.
    public init(
        threads: Int? = nil, bindThreads: Bool = false, replica: Replica = .only
    ) throws(HostDeviceError) {
        let topology = try HostTopology()
        let group = try topology.groups(replica.count)[replica.index]
        let count = max(1, min(threads ?? group.coreCount, group.threadLimit))
        kernels = try KernelSet.fromEnvironment()
        self.topology = topology
        self.group = group
        self.replica = replica
        bytesAvailableAtOpening = AvailableMemory.forCache()
        warnings = threads.map { Self.warnings(threads: $0, allowed: group.threadLimit, replica) } ?? []
        // Threads inherit the processors of the thread that starts them.
        if replica.count > 1 { topology.bindCurrentThread(to: group.processors) }
        if bindThreads, !group.processors.isEmpty {
            pool = ThreadPool(threadCount: count) { worker in
                topology.bindCurrentThread(to: CollectionOfOne(group.processors[worker % group.processors.count]))
            }
        } else {
            pool = ThreadPool(threadCount: count)
        }
    }

    private static func warnings(threads: Int, allowed: Int, _ replica: Replica) -> [ConfigurationWarning] {
        guard threads > allowed else { return [] }
        let user = replica.count == 1 ? "this process" : "\(replica)"
        return [
            ConfigurationWarning(
                key: "threads",
                message: "lowered from \(threads) to the number of processors that \(user) may use: \(allowed)")
        ]
    }

    deinit { close() }

    /// `host`.
    public var platform: PlatformTraits { .host }
    /// (1, 1).
    public var meshShape: MeshShape { MeshShape(rows: 1, columns: 1) }
    /// Processor, threads and kernels.
    public var summary: String {
        let place = replica.count == 1 ? "" : " on \(group)"
        return "\(topology.processorName), \(pool.threadCount) thread\(pool.threadCount == 1 ? "" : "s")\(place), "
            + kernels.name
    }

    /// The kernels: neither the processor nor the number of threads changes a result.
    public var arithmetic: String { "host, \(kernels.name)" }

    /// One model for every family that can be described.
    public var models: ModelRegistry<HostMeshDevice> {
        var registry = ModelRegistry<HostMeshDevice>()
        for name in ModelDescription.classes {
            registry.register("TT" + name) { initialization, host in
                try HostModel(initialization, kernels: host.kernels, pool: host.pool)
            }
        }
        return registry
    }

    /// The free memory of the machine and the cgroup; with several replicas, this replica's share after all are loaded.
    public var availableKVCacheBytes: Int? {
        AvailableMemory.forCache().map {
            AvailableMemory.share(of: $0, atOpening: bytesAvailableAtOpening ?? $0, replica)
        }
    }

    /// Ends the threads; remaining models run on the caller's thread alone.
    public func close() { pool.stop() }
}
