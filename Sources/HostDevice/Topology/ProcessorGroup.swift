// The machine's processors divided between replicas.

import CHwloc
import Glibc

/// The part of the usable processors that a replica runs on.
struct ProcessorGroup: Equatable, CustomStringConvertible {
    /// Operating system indices: one of each core first, then their other hyper-threads.
    let processors: [Int]
    /// Its physical cores, limited by its share of the cgroup's quota.
    let coreCount: Int
    /// Its processors, limited by its share of the cgroup's quota.
    let threadLimit: Int

    /// A group of `cores`, each given by its processors, which may use `quota` processors at once.
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

/// Divides `cores` into `count` groups. That a group's cores are near each other in memory goes before equal sizes: a replica
/// with fewer cores gets fewer jobs.
///
/// hwloc divides, on a copy of the topology that has one processor of each core: weighed by hyper-threads, a core could be
/// given to two groups.
///
/// - Parameters:
///   - cores: the usable ones, each by its processors.
///   - count: from 1 to the number of cores.
/// - Returns: nil where hwloc cannot.
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
