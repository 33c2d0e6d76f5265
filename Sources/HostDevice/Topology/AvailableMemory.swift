// How much memory a KV cache may take: what the machine and the cgroup have free.

import Glibc

/// Memory that is free now.
enum AvailableMemory {
    /// Seven eighths of what is available to this process, so that it does not push the system into swapping; `nil` where
    /// the system does not say.
    static func forCache() -> Int? {
        let limits = [machine(read("/proc/meminfo") ?? "")] + groups()
        return limits.compactMap { $0 }.min().map { $0 / 8 * 7 }
    }

    /// `MemAvailable` of `/proc/meminfo`, in bytes.
    static func machine(_ text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }

    /// What is left of each cgroup v2 memory limit from this process's group up to the root.
    private static func groups() -> [Int?] {
        guard let line = (read("/proc/self/cgroup") ?? "").split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else { return [] }
        var path = line.dropFirst(3).split(separator: "/")
        var rooms: [Int?] = []
        while true {
            let folder = "/sys/fs/cgroup" + path.map { "/" + $0 }.joined()
            if let limit = number(folder + "/memory.max"), let used = number(folder + "/memory.current") {
                rooms.append(max(0, limit - used))
            }
            if path.isEmpty { return rooms }
            path.removeLast()
        }
    }

    private static func number(_ path: String) -> Int? {
        read(path).flatMap { Int($0.filter(\.isNumber)) }
    }
}

/// The text of a small file of the `proc` or `sys` file system, or `nil`.
func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
}
