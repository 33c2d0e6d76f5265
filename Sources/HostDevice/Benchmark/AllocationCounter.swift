// How many allocations the process has made, where something that counts them was preloaded.

import Glibc

/// The counter of `etc/bench/allocations.c`, which takes the place of the C library's functions when it is preloaded.
struct AllocationCounter {
    private let read: @convention(c) () -> UInt64

    /// `nil` where no counter is in the process.
    init?() {
        guard let symbol = dlsym(nil, "ttbatch_allocation_count") else { return nil }
        read = unsafeBitCast(symbol, to: (@convention(c) () -> UInt64).self)
    }

    /// Allocations of all threads since the process began.
    var count: Int { Int(read()) }
}
