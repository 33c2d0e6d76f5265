// The processors that this process may use: its affinity mask and its cgroup's CPU quota.

import CHwloc
import Glibc

/// The processors that the operating system allows a process.
public struct ProcessorAllowance: Sendable, Equatable {
    /// Processors of the affinity mask; `nil` if it is not known.
    public var affinity: Set<Int>?
    /// The cgroup's CPU quota in whole processors, rounded up; `nil` if there is none.
    public var quota: Int?

    /// An allowance with an affinity mask and a CPU quota; `nil` for no restriction.
    public init(affinity: Set<Int>?, quota: Int?) {
        self.affinity = affinity
        self.quota = quota
    }

    /// The current allowance of this process.
    public static var current: ProcessorAllowance {
        ProcessorAllowance(affinity: currentAffinity(), quota: currentQuota())
    }

    /// The quota in a cgroup v2 `cpu.max` file, for example "max 100000" or "150000 100000".
    static func quota(cpuMax text: String) -> Int? {
        let fields = text.split(whereSeparator: \.isWhitespace).map { Int($0) }
        guard fields.count == 2, let limit = fields[0], let period = fields[1], limit > 0, period > 0 else {
            return nil
        }
        return (limit + period - 1) / period
    }

    private static func currentAffinity() -> Set<Int>? {
        var handle: hwloc_topology_t?
        guard hwloc_topology_init(&handle) == 0, let topology = handle else { return nil }
        defer { hwloc_topology_destroy(topology) }
        let set = hwloc_bitmap_alloc()
        defer { hwloc_bitmap_free(set) }
        guard hwloc_topology_load(topology) == 0, hwloc_topology_is_thissystem(topology) != 0,
            hwloc_get_cpubind(topology, set, Int32(HWLOC_CPUBIND_PROCESS.rawValue)) == 0
        else { return nil }
        var processors: Set<Int> = []
        var index = hwloc_bitmap_first(set)
        while index >= 0 {
            processors.insert(Int(index))
            index = hwloc_bitmap_next(set, index)
        }
        return processors
    }

    /// The smallest quota from this process's cgroup up to the root; from version 1's files if version 2's are absent.
    private static func currentQuota() -> Int? {
        var quotas: [Int] = []
        for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            var path = fields[2].split(separator: "/")
            while true {
                let group = path.map { "/" + $0 }.joined()
                if fields[0] == "0", let text = read("/sys/fs/cgroup\(group)/cpu.max") {
                    if let quota = quota(cpuMax: text) { quotas.append(quota) }
                } else if fields[1].split(separator: ",").contains("cpu"),
                    let limit = read("/sys/fs/cgroup/cpu\(group)/cpu.cfs_quota_us"),
                    let period = read("/sys/fs/cgroup/cpu\(group)/cpu.cfs_period_us"),
                    let quota = quota(cpuMax: limit + " " + period)
                {
                    quotas.append(quota)
                }
                if path.isEmpty { break }
                path.removeLast()
            }
        }
        return quotas.min()
    }
}
