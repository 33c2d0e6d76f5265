// The memory of the KV cache: a part for each group of layers.

import CHostKernels
import Platform

/// The memory of the KV cache.
final class KVCacheMemory {
    let layout: KVCacheLayout
    /// The kernels' view of each layer.
    let layers: DeviceBuffer<hk_cache>
    private let groups: [DeviceBuffer<UInt8>]

    /// Reserves the address space.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(_ layout: KVCacheLayout) throws(HostDeviceError) {
        self.layout = layout
        var groups: [DeviceBuffer<UInt8>] = []
        for geometry in layout.groups { groups.append(try DeviceBuffer(count: geometry.totalBytes)) }
        self.groups = groups
        layers = try DeviceBuffer(count: layout.places.count)
        for (layer, place) in layout.places.enumerated() {
            layers.base[layer] = layout.groups[place.group].layer(place.layer, in: groups[place.group])
        }
    }

    /// Makes the system provide the memory of each group's first `blocks` blocks, with all threads of `pool`.
    func take(blocks: Int, _ pool: ThreadPool) {
        let piece = 2 << 20
        for (geometry, memory) in zip(layout.groups, groups) {
            for part in geometry.parts(of: 0..<min(blocks, geometry.blockCount)) {
                pool.forEach((part.count + piece - 1) / piece) { _, pieces in
                    let first = part.lowerBound + pieces.lowerBound * piece
                    memory.takePages(first..<min(first + pieces.count * piece, part.upperBound))
                }
            }
        }
    }

    /// Copies a block.
    func perform(_ copy: BlockCopy) {
        layout.groups[copy.group].copyBlock(Int(copy.source), to: Int(copy.target), in: groups[copy.group])
    }
}
