// The layout of keys and values in the cache's memory, by layer, block and head.

import CHostKernels
import Platform

/// The layout of a group's paged KV cache; see `hk_cache`.
struct KVCacheGeometry: Sendable, Equatable {
    /// Layers of the group.
    let layers: Int
    let heads: Int
    let headSize: Int
    let blockCount: Int
    let blockSize: Int
    /// Data type of its elements.
    let type: KVCacheDType

    private var paddedHead: Int { (headSize + 15) / 16 * 16 }
    private var paddedBlock: Int { (blockSize + 15) / 16 * 16 }
    private var keyBytes: Int { heads * headSize * paddedBlock * type.bytes }
    private var valueBytes: Int { heads * blockSize * paddedHead * type.bytes }
    /// Bytes of a block's scales of one layer, for keys and for values each.
    private var scaleBytes: Int { type == .int8 ? heads * paddedBlock * MemoryLayout<Float>.stride : 0 }

    /// Bytes of one block over all layers.
    var blockBytes: Int { layers * (keyBytes + valueBytes + 2 * scaleBytes) }
    /// Bytes of the whole cache, with some room after the last block for whole-vector reads; saturated, so that an
    /// impossible size is an error, not a crash.
    var totalBytes: Int {
        let (bytes, overflow) = blockBytes.multipliedReportingOverflow(by: blockCount)
        return overflow || bytes > Int.max / 2 ? Int.max : bytes + 256
    }

    /// The kernels' view of the group's layer `index`. Memory holds all keys, then all values, then their scales. In
    /// each part a block's layers are adjacent, so that a few used blocks touch few pages.
    func layer(_ index: Int, in memory: DeviceBuffer<UInt8>) -> hk_cache {
        let blocks = blockCount * layers
        let (keys, values) = (memory.base, memory.base + blocks * keyBytes)
        let scales = UnsafeMutableRawPointer(values + blocks * valueBytes).assumingMemoryBound(to: Float.self)
        let layerScales = type == .int8 ? scales + index * heads * paddedBlock : nil
        return hk_cache(
            keys: keys + index * keyBytes, values: values + index * valueBytes, key_scales: layerScales,
            value_scales: layerScales.map { $0 + blocks * heads * paddedBlock }, format: type.format, heads: heads,
            head_size: headSize, padded_head: paddedHead, block_size: blockSize, padded_block: paddedBlock,
            block_pages: layers * heads)
    }

    /// The byte ranges of adjacent blocks over all layers: of the keys, the values, and the scales of both.
    func parts(of blocks: Range<Int>) -> [Range<Int>] {
        var start = 0
        return [keyBytes, valueBytes, scaleBytes, scaleBytes].map { $0 * layers }.map { bytes in
            defer { start += blockCount * bytes }
            return start + blocks.lowerBound * bytes..<start + blocks.upperBound * bytes
        }
    }

    /// Copies a block over all layers.
    func copyBlock(_ source: Int, to target: Int, in memory: DeviceBuffer<UInt8>) {
        for (from, to) in zip(parts(of: source..<source + 1), parts(of: target..<target + 1)) {
            (memory.base + to.lowerBound).update(from: memory.base + from.lowerBound, count: from.count)
        }
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

    /// The kernels' constant for it.
    fileprivate var format: Int32 {
        switch self {
        case .float32: Int32(HK_CACHE_F32)
        case .float16: Int32(HK_CACHE_F16)
        case .int8: Int32(HK_CACHE_INT8)
        }
    }
}
