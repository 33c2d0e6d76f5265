// Counts the process's allocations if a counting library was preloaded.

import Glibc

/// The counter of `etc/bench/allocations.c`, which replaces the C library's functions when it is preloaded.
struct AllocationCounter {
    private let read: @convention(c) () -> UInt64

    /// `nil` if the process has no counter.
    init?() {
        guard let symbol = dlsym(nil, "ttbatch_allocation_count") else { return nil }
        read = unsafeBitCast(symbol, to: (@convention(c) () -> UInt64).self)
    }

    /// Number of allocations of all threads since the process began.
    var count: Int { Int(read()) }
}
