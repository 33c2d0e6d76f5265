// The memory that a KV cache may take: the free memory of the machine and the cgroup.

import Glibc
import Platform

/// Reads the free memory.
enum AvailableMemory {
    /// Seven eighths of the memory available to this process, so that the system does not start to swap; `nil` if the
    /// system does not report it.
    static func forCache() -> Int? {
        var rooms = groups(read("/proc/self/cgroup") ?? "", root: "/sys/fs/cgroup")
        if let machine = machine(read("/proc/meminfo") ?? "") { rooms.append(machine) }
        return rooms.min().map { $0 / 8 * 7 }
    }

    /// The share of `free` bytes for a replica that has loaded its weights.
    ///
    /// - Parameter atOpening: bytes that were free before it loaded them. Each later replica needs as much for its
    ///   weights.
    static func share(of free: Int, atOpening: Int, _ replica: Replica) -> Int {
        let later = replica.count - 1 - replica.index
        return max(0, free - later * max(0, atOpening - free)) / replica.count
    }

    /// `MemAvailable` of `/proc/meminfo`, in bytes.
    static func machine(_ text: String) -> Int? { value(of: "MemAvailable:", in: text).map { $0 << 10 } }

    /// The remaining memory under each limit from this process's cgroup up to the root, in bytes.
    ///
    /// - Parameters:
    ///   - membership: the text of `/proc/self/cgroup`.
    ///   - root: the folder where the cgroup file systems are mounted.
    static func groups(_ membership: String, root: String) -> [Int] {
        var rooms: [Int] = []
        for line in membership.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let hierarchy: MemoryHierarchy
            if fields[0] == "0" {
                hierarchy = .version2
            } else if fields[1].split(separator: ",").contains("memory") {
                hierarchy = .version1
            } else {
                continue
            }
            var path = fields[2].split(separator: "/")
            while true {
                if let room = hierarchy.room(root + hierarchy.mount + path.map { "/" + $0 }.joined()) {
                    rooms.append(room)
                }
                if path.isEmpty { break }
                path.removeLast()
            }
        }
        return rooms
    }

    /// The number after `name` at the beginning of a line.
    fileprivate static func value(of name: String, in text: String) -> Int? {
        let words = text.split(separator: "\n").lazy.map { $0.split(separator: " ") }
        return words.first { $0.first.map(String.init) == name && $0.count > 1 }.flatMap { Int($0[1]) }
    }
}

/// The files in which a version of cgroups reports a group's memory.
private struct MemoryHierarchy {
    let mount: String
    let limit: String
    let used: String
    /// Statistics of file pages: they count as used, but the kernel reclaims them when memory runs short.
    let reclaimable: [String]

    static let version2 = MemoryHierarchy(
        mount: "", limit: "memory.max", used: "memory.current", reclaimable: ["inactive_file", "active_file"])
    static let version1 = MemoryHierarchy(
        mount: "/memory", limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes",
        reclaimable: ["total_inactive_file", "total_active_file"])

    /// The remaining memory under the group's limit; `nil` if it has none.
    func room(_ folder: String) -> Int? {
        guard let limit = number(folder + "/" + limit), let used = number(folder + "/" + used) else { return nil }
        let statistics = read(folder + "/memory.stat") ?? ""
        let cached = reclaimable.reduce(0) { $0 + (AvailableMemory.value(of: $1, in: statistics) ?? 0) }
        return max(0, limit - max(0, used - cached))
    }

    private func number(_ path: String) -> Int? { read(path).flatMap { Int($0.filter { !$0.isWhitespace }) } }
}

/// The text of a small file of the `proc` or `sys` file system, or `nil`.
func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
}
