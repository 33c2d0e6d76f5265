// The cache blocks that each thread prefetches from memory while products are computed: those that it will attend to.

import CHostKernels

/// Each thread's blocks in a step's attention, which it prefetches in every layer.
///
/// The attention of many rows waits for memory, which their products leave half idle. Prefetched data do not stay in a
/// core's own cache but in the shared cache, which is faster than memory. The results do not change.
final class CacheReadAhead {
    /// Maximum number of bytes that a thread prefetches for a layer; more would evict the first ones from the cache.
    static let threadBytes = 4 << 20

    /// The threads' states, for stages.
    let places: ReadAheadPlaces
    private let states: DeviceBuffer<hk_read_ahead>
    /// `[threads, most]`
    private let blocks: DeviceBuffer<Int32>
    private let most: Int
    private let threads: Int
    private let blockSize: Int

    /// Room for `threads` threads that read a cache of blocks like `cache`'s.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(cache: KVCacheGeometry, threads: Int) throws(HostDeviceError) {
        (self.threads, blockSize) = (threads, cache.blockSize)
        most = max(Self.threadBytes * cache.layers / max(cache.blockBytes, 1), 1)
        blocks = try DeviceBuffer(count: threads * most)
        states = try DeviceBuffer(count: threads * ReadAheadPlaces.stride)
        places = ReadAheadPlaces(base: states.base)
    }

    /// Lists for each thread the blocks with earlier tokens that its share of `plan` reads; allocates nothing.
    func prepare(_ plan: AttentionPlan, _ tokens: UnsafePointer<StepToken>, pageTable: UnsafePointer<Int32>) {
        for worker in 0..<threads {
            let list = blocks.base + worker * most
            var (count, sequence) = (0, Int32(-1))
            for row in plan.rows(of: worker, threads: threads) where tokens[row].tableOffset != sequence {
                sequence = tokens[row].tableOffset
                var first = row
                while first > 0, tokens[first - 1].tableOffset == sequence { first -= 1 }
                let position = Int(tokens[first].position)
                let start = plan.window.map { max(0, position + 1 - $0) / blockSize } ?? 0
                let before = max(min((position + blockSize - 1) / blockSize - start, most - count), 0)
                (list + count).update(from: pageTable + Int(sequence) + start, count: before)
                count += before
            }
            states.base[worker * ReadAheadPlaces.stride] = hk_read_ahead(
                cache: nil, blocks: list, count: count, at: 0, at_values: 0, lines: 0, from: nil)
        }
    }
}

/// The prefetch state of each thread; plain data for stages.
struct ReadAheadPlaces: BitwiseCopyable {
    /// Distance between the states of two threads: they lie in different pairs of cache lines.
    fileprivate static let stride = 128 / MemoryLayout<hk_read_ahead>.stride + 1
    fileprivate let base: UnsafeMutablePointer<hk_read_ahead>

    /// The state of `worker` for a layer's cache; reset to the beginning of its list if it was at another layer.
    @inline(__always)
    func state(of worker: Int, in cache: UnsafePointer<hk_cache>) -> UnsafeMutablePointer<hk_read_ahead> {
        let state = base + worker * Self.stride
        if state.pointee.cache != cache {
            state.pointee.cache = cache
            (state.pointee.at, state.pointee.at_values, state.pointee.lines) = (0, 0, 0)
        }
        return state
    }
}
