// The machine's topology from hwloc: packages, memory nodes, cores, caches, and the processors that may be used.

import CHostKernels
import CHwloc
import Glibc

/// The machine's topology.
public final class HostTopology: @unchecked Sendable {
    private let topology: hwloc_topology_t
    private let allowance: ProcessorAllowance
    /// The allowed processors of each core; a core without any is left out.
    private let cores: [[Int]]
    private let all: ProcessorGroup

    /// Reads the topology; `HWLOC_SYNTHETIC` in the environment describes another machine.
    ///
    /// - Parameters:
    ///   - synthetic: hwloc's description of another machine, for example `pack:2 core:4 pu:2`.
    ///   - allowance: the processors that the system allows the process.
    /// - Throws: `HostDeviceError.noTopology`.
    public init(
        synthetic: String? = nil, allowance: ProcessorAllowance = .current
    ) throws(HostDeviceError) {
        var handle: hwloc_topology_t?
        guard hwloc_topology_init(&handle) == 0, let handle else {
            throw .noTopology(reason: String(cString: strerror(errno)))
        }
        guard synthetic.map({ hwloc_topology_set_synthetic(handle, $0) }) ?? 0 == 0,
            hwloc_topology_load(handle) == 0
        else {
            hwloc_topology_destroy(handle)
            throw .noTopology(reason: String(cString: strerror(errno)))
        }
        topology = handle
        self.allowance = allowance
        cores = Self.processorsByCore(handle, allowance)
        all = ProcessorGroup(cores: cores, quota: allowance.quota)
    }

    deinit { hwloc_topology_destroy(topology) }

    /// Operating system indices of the allowed processors: one of each core first, then their other hyper-threads.
    public var allowedProcessors: [Int] { all.processors }
    /// Physical cores that have an allowed processor, limited by the cgroup's quota.
    public var allowedCoreCount: Int { all.coreCount }
    /// Number of processors that affinity, hwloc and the cgroup's quota allow.
    public var allowedProcessorCount: Int { all.threadLimit }
    /// Physical packages (sockets).
    public var packageCount: Int { count(HWLOC_OBJ_PACKAGE) }
    /// Memory nodes.
    public var memoryNodeCount: Int { count(HWLOC_OBJ_NUMANODE) }
    /// Physical cores.
    public var coreCount: Int { count(HWLOC_OBJ_CORE) }
    /// Logical processors.
    public var processorCount: Int { count(HWLOC_OBJ_PU) }
    /// Bytes of memory of all nodes.
    public var memoryBytes: UInt64 { hwloc_get_root_obj(topology).pointee.total_memory }

    /// The processor's model name.
    public var processorName: String {
        let root = hwloc_get_root_obj(topology)
        let package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0)
        for object in [package, root] {
            if let object, let name = hwloc_obj_get_info_by_name(object, "CPUModel") { return String(cString: name) }
        }
        return "CPU"
    }

    /// One line of description.
    public var summary: String {
        "\(processorName), \(coreCount) cores, \(memoryBytes >> 30) GiB, "
            + KernelSet.available.map(\.name).joined(separator: "/")
    }

    /// Further lines of description.
    public var details: [String] {
        var lines = [
            "packages: \(packageCount), memory nodes: \(memoryNodeCount), cores: \(coreCount), "
                + "processors: \(processorCount)",
            "usable: \(allowedProcessorCount) processors on \(allowedCoreCount) cores"
                + (allowance.quota.map { ", cgroup quota \($0)" } ?? ""),
        ]
        let caches = [
            (HWLOC_OBJ_L1CACHE, "L1d"), (HWLOC_OBJ_L2CACHE, "L2"), (HWLOC_OBJ_L3CACHE, "L3"),
        ].compactMap { type, name in
            hwloc_get_obj_by_type(topology, type, 0).map { cache in
                "\(count(type)) × \(name) \(cache.pointee.attr.pointee.cache.size >> 10) KiB"
            }
        }
        if !caches.isEmpty { lines.append("caches: " + caches.joined(separator: ", ")) }
        return lines
    }

    /// The processors of each of `count` replicas: cores with all their hyper-threads, close to each other in the
    /// topology.
    ///
    /// - Throws: `HostDeviceError.tooManyReplicas` if there are more replicas than usable cores.
    func groups(_ count: Int) throws(HostDeviceError) -> [ProcessorGroup] {
        if count == 1 { return [all] }
        guard count <= allowedCoreCount else { throw .tooManyReplicas(count, cores: allowedCoreCount) }
        guard let groups = divide(cores, topology, count: count) else {
            throw .noTopology(reason: String(cString: strerror(errno)))
        }
        return groups.enumerated().map { index, cores in
            // The remainder goes to the first groups.
            ProcessorGroup(cores: cores, quota: allowance.quota.map { ($0 + count - 1 - index) / count })
        }
    }

    /// Binds the calling thread to `processors`; if the system refuses, the thread stays unbound.
    func bindCurrentThread(to processors: some Sequence<Int>) {
        let set = hwloc_bitmap_alloc()
        defer { hwloc_bitmap_free(set) }
        for processor in processors { hwloc_bitmap_set(set, UInt32(processor)) }
        _ = hwloc_set_cpubind(topology, set, Int32(HWLOC_CPUBIND_THREAD.rawValue))
    }

    private func count(_ type: hwloc_obj_type_t) -> Int { max(0, Int(hwloc_get_nbobjs_by_type(topology, type))) }

    private static func processorsByCore(_ topology: hwloc_topology_t, _ allowance: ProcessorAllowance) -> [[Int]] {
        // Affinity applies to this machine only, not to a synthetic one.
        let isThisMachine = hwloc_topology_is_thissystem(topology) != 0
        let allowed = hwloc_topology_get_allowed_cpuset(topology)
        var cores: [UInt32: [Int]] = [:]
        for index in 0..<max(0, hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU)) {
            guard let processor = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, UInt32(index)) else { continue }
            let number = processor.pointee.os_index
            guard hwloc_bitmap_isset(allowed, number) != 0 else { continue }
            if isThisMachine, let affinity = allowance.affinity, !affinity.contains(Int(number)) { continue }
            let core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, processor) ?? processor
            cores[core.pointee.logical_index, default: []].append(Int(number))
        }
        return cores.sorted { $0.key < $1.key }.map(\.value)
    }
}
