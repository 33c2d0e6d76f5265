// Memory for many arrays with the same lifetime, packed into huge pages.

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
        if pieces.isEmpty || used + count > pieces[pieces.count - 1].count {
            pieces.append(try DeviceBuffer(count: max(count, Self.pieceBytes)))
            used = 0
        }
        let place = pieces[pieces.count - 1].base + used
        used += (count + Self.alignment - 1) / Self.alignment * Self.alignment
        return place
    }
}
