// Memory for many arrays with the same lifetime, packed into huge pages.

import CHostKernels

/// Allocates from large pieces of memory. Separate small arrays would lie in small pages, at whose ends the processor
/// stops prefetching, and reading weights would take twice as long.
final class DeviceArena: @unchecked Sendable {
    private static let pieceBytes = 32 << 20
    private static let alignment = 64
    private var pieces: [DeviceBuffer<UInt8>] = []
    private var used = 0

    /// Zeroed memory for `count` bytes, aligned to a cache line, that lives as long as the arena.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    func allocate(_ count: Int) throws(HostDeviceError) -> UnsafeMutablePointer<UInt8> {
        let size = (count + hk_guard_bytes() + Self.alignment - 1) / Self.alignment * Self.alignment
        if pieces.isEmpty || used + size > pieces[pieces.count - 1].count {
            pieces.append(try DeviceBuffer(count: max(size, Self.pieceBytes)))
            used = 0
        }
        let place = pieces[pieces.count - 1].base + used
        hk_guard(place + count, size - count)
        used += size
        return place
    }
}
