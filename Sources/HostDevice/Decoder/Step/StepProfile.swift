// The time of steps by kind of kernel.

import Glibc

/// Thread time in each kind of kernel, summed over all steps.
final class StepProfile: @unchecked Sendable {
    /// Nanoseconds `[worker][kind]`, at least a cache line for each worker.
    private let nanoseconds: UnsafeMutablePointer<UInt64>
    private let threads: Int
    private static let each = 16

    init(threads: Int) {
        self.threads = threads
        nanoseconds = .allocate(capacity: threads * Self.each)
        nanoseconds.initialize(repeating: 0, count: threads * Self.each)
    }

    deinit { nanoseconds.deallocate() }

    /// Runs `body` and counts its time.
    @inline(__always)
    func time(_ kind: KernelKind, _ worker: Int, _ body: () -> Void) {
        let start = Self.now()
        body()
        nanoseconds[worker * Self.each + kind.rawValue] += Self.now() - start
    }

    /// Seconds of all threads together; must be called between steps.
    func seconds(_ kind: KernelKind) -> Double {
        (0..<threads).reduce(0) { $0 + Double(nanoseconds[$1 * Self.each + kind.rawValue]) } * 1e-9
    }

    /// Resets all counts; must be called between steps.
    func reset() { nanoseconds.update(repeating: 0, count: threads * Self.each) }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
