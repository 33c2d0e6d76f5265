// What the kernel knows of this process, under the names that every client library of Prometheus uses.

import Glibc

extension MetricSamples {
    /// The families `process_…`, of this process without its bridges; what the kernel does not tell is left out.
    package static func ofProcess() -> [MetricSamples] {
        func family(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) -> MetricSamples? {
            value.map { MetricSamples(name, kind, help, [MetricSample([], .number($0))]) }
        }
        let page = Double(sysconf(Int32(_SC_PAGESIZE)))
        // Resident and virtual size, in pages.
        let sizes = (text(of: "/proc/self/statm") ?? "").split(separator: " ").compactMap { Double($0) }
        return [
            family("process_cpu_seconds_total", .counter, "Processor time of all threads.", cpuSeconds()),
            family(
                "process_resident_memory_bytes", .gauge, "Memory in use, with mapped files.",
                sizes.dropFirst().first.map { $0 * page }),
            family("process_virtual_memory_bytes", .gauge, "Address space in use.", sizes.first.map { $0 * page }),
            family("process_start_time_seconds", .gauge, "Start of the process, in Unix time.", startSeconds),
            family("process_open_fds", .gauge, "Open file descriptors.", openDescriptors()),
            family("process_max_fds", .gauge, "The most file descriptors that may be open.", mostDescriptors()),
        ].compactMap(\.self)
    }

    private static func cpuSeconds() -> Double? {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// It does not change, and must be the same in each scrape.
    private static let startSeconds: Double? = {
        // Behind the name in parentheses; the 20th word is the start, in ticks since the machine's.
        let words = (text(of: "/proc/self/stat") ?? "").split(separator: ")").last?.split(separator: " ") ?? []
        let boot = (text(of: "/proc/stat") ?? "").split(separator: "\n").first { $0.hasPrefix("btime ") }
        guard words.count > 19, let ticks = Double(words[19]), let start = boot.flatMap({ Double($0.dropFirst(6)) })
        else { return nil }
        return start + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }()

    private static func openDescriptors() -> Double? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Not `.`, `..` and the descriptor of the folder itself.
        return Double(count - 3)
    }

    private static func mostDescriptors() -> Double? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return Double(limit.rlim_cur)
    }

    private static func text(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var (text, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
