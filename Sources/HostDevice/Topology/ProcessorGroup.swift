// The machine's processors divided between replicas.

import CHwloc
import Glibc

/// The usable processors of a replica.
struct ProcessorGroup: Equatable, CustomStringConvertible {
    /// Operating system indices: one of each core first, then their other hyper-threads.
    let processors: [Int]
    /// Number of its physical cores, limited by its share of the cgroup's quota.
    let coreCount: Int
    /// Number of its processors, limited by its share of the cgroup's quota.
    let threadLimit: Int

    /// A group of `cores`, each a list of its processors, which may use `quota` processors at a time.
    init(cores: [[Int]], quota: Int?) {
        processors = Self.coresFirst(cores)
        coreCount = max(1, min(cores.count, quota ?? Int.max))
        threadLimit = max(1, min(processors.count, quota ?? Int.max))
    }

    /// `processors 0-3,8-11`.
    var description: String {
        let set = hwloc_bitmap_alloc()
        defer { hwloc_bitmap_free(set) }
        for processor in processors { hwloc_bitmap_set(set, UInt32(processor)) }
        var text: UnsafeMutablePointer<CChar>?
        guard hwloc_bitmap_list_asprintf(&text, set) >= 0, let text else { return "\(processors.count) processors" }
        defer { free(text) }
        return "processor\(processors.count == 1 ? "" : "s") " + String(cString: text)
    }

    /// The processors of `cores`: one of each first, then the others.
    private static func coresFirst(_ cores: [[Int]]) -> [Int] {
        let depth = cores.map(\.count).max() ?? 0
        return (0..<depth).flatMap { turn in cores.compactMap { turn < $0.count ? $0[turn] : nil } }
    }
}

/// Divides `cores` into `count` groups. Cores that are close to each other in the topology stay together, even if the
/// groups become unequal: a replica with fewer cores gets fewer jobs.
///
/// hwloc divides a copy of the topology with one processor of each core: with all hyper-threads, it could give a core
/// to two groups.
///
/// - Parameters:
///   - cores: the usable cores, each a list of its processors.
///   - count: from 1 to the number of cores.
/// - Returns: the groups; nil if hwloc fails.
func divide(_ cores: [[Int]], _ topology: hwloc_topology_t, count: Int) -> [[[Int]]]? {
    var handle: hwloc_topology_t?
    guard hwloc_topology_dup(&handle, topology) == 0, let copy = handle else { return nil }
    defer { hwloc_topology_destroy(copy) }
    let first = hwloc_bitmap_alloc()
    defer { hwloc_bitmap_free(first) }
    for core in cores { hwloc_bitmap_set(first, UInt32(core[0])) }
    guard hwloc_topology_restrict(copy, first, 0) == 0 else { return nil }
    var roots: [hwloc_obj_t?] = [hwloc_get_root_obj(copy)]
    var sets = [hwloc_cpuset_t?](repeating: nil, count: count)
    defer { for set in sets { hwloc_bitmap_free(set) } }
    guard hwloc_distrib(copy, &roots, 1, &sets, UInt32(count), Int32.max, 0) == 0 else { return nil }
    return sets.map { set in cores.filter { hwloc_bitmap_isset(set, UInt32($0[0])) != 0 } }
}
