// Where keys and values of each layer, block and head lie in the cache's memory.

import CHostKernels
import TTPlatform

/// The paged KV cache's layout; see `hk_cache`.
struct KVCacheGeometry: Sendable, Equatable {
    let layers: Int
    let heads: Int
    let headSize: Int
    let blockCount: Int
    let blockSize: Int
    /// What its elements are.
    let type: KVCacheDType

    private var paddedHead: Int { (headSize + 15) / 16 * 16 }
    private var paddedBlock: Int { (blockSize + 15) / 16 * 16 }
    private var keyBytes: Int { heads * headSize * paddedBlock * type.bytes }
    private var valueBytes: Int { heads * blockSize * paddedHead * type.bytes }
    /// Keys and values have such scales each.
    private var scaleBytes: Int { type == .int8 ? heads * paddedBlock * MemoryLayout<Float>.stride : 0 }
    private var layerBlockBytes: Int { keyBytes + valueBytes + 2 * scaleBytes }

    /// Bytes of one block over all layers.
    var blockBytes: Int { layers * layerBlockBytes }
    /// Bytes of one layer, with a little room behind the last block for whole-vector reads.
    var layerBytes: Int { (blockCount * layerBlockBytes + 63) / 64 * 64 + 256 }
    /// Bytes of the whole cache; saturated, so that an impossible size is refused and not a crash.
    var totalBytes: Int {
        let (bytes, overflow) = blockBytes.multipliedReportingOverflow(by: blockCount)
        return overflow || bytes > Int.max / 2 ? Int.max : layers * layerBytes
    }

    /// The kernels' view of a layer: all keys, all values, and their scales.
    func layer(_ index: Int, in memory: DeviceBuffer<UInt8>) -> hk_cache {
        let keys = memory.base + index * layerBytes
        let values = keys + blockCount * keyBytes
        let scales = UnsafeMutableRawPointer(values + blockCount * valueBytes)
        let keyScales = type == .int8 ? scales.assumingMemoryBound(to: Float.self) : nil
        return hk_cache(
            keys: keys, values: values, key_scales: keyScales,
            value_scales: keyScales.map { $0 + blockCount * heads * paddedBlock }, format: type.format, heads: heads,
            head_size: headSize, padded_head: paddedHead, block_size: blockSize, padded_block: paddedBlock)
    }
}

extension KVCacheDType {
    /// Bytes of an element.
    var bytes: Int {
        switch self {
        case .float32: 4
        case .float16: 2
        case .int8: 1
        }
    }

    /// The kernels' name for it.
    fileprivate var format: Int32 {
        switch self {
        case .float32: Int32(HK_CACHE_F32)
        case .float16: Int32(HK_CACHE_F16)
        case .int8: Int32(HK_CACHE_INT8)
        }
    }
}
