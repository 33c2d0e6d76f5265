// Where keys and values of each layer, block and head lie in the cache's memory.

import CHostKernels

/// The paged KV cache's layout; see `hk_cache`.
struct KVCacheGeometry: Sendable, Equatable {
    let layers: Int
    let heads: Int
    let headSize: Int
    let blockCount: Int
    let blockSize: Int
    /// Elements are f16 instead of f32.
    let half: Bool

    private var paddedHead: Int { (headSize + 15) / 16 * 16 }
    private var paddedBlock: Int { (blockSize + 15) / 16 * 16 }
    private var elementBytes: Int { half ? 2 : 4 }
    private var keyBytes: Int { heads * headSize * paddedBlock * elementBytes }
    private var valueBytes: Int { heads * blockSize * paddedHead * elementBytes }

    /// Bytes of one block over all layers.
    var blockBytes: Int { layers * (keyBytes + valueBytes) }
    /// Bytes of one layer, with a little room behind the last block for whole-vector reads.
    var layerBytes: Int { blockCount * (keyBytes + valueBytes) + 256 }
    /// Bytes of the whole cache; saturated, so that an impossible size is refused and not a crash.
    var totalBytes: Int {
        let (bytes, overflow) = blockBytes.multipliedReportingOverflow(by: blockCount)
        return overflow || bytes > Int.max / 2 ? Int.max : layers * layerBytes
    }

    /// The kernels' view of a layer.
    func layer(_ index: Int, in memory: DeviceBuffer<UInt8>) -> hk_cache {
        let keys = memory.base + index * layerBytes
        return hk_cache(
            keys: keys, values: keys + blockCount * keyBytes, half: half ? 1 : 0, heads: heads, head_size: headSize,
            padded_head: paddedHead, block_size: blockSize, padded_block: paddedBlock)
    }
}
