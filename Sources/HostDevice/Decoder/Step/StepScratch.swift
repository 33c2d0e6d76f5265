// The activations of a tile of tokens, allocated once, so that memory does not grow with a step's tokens.

import CHostKernels
import Platform
import Sampling

/// Activations of up to `tokens` tokens, and scratch memory of each thread.
///
/// Names ending in `Stride` are the number of floats from one token's row to the next; outputs of products are whole
/// panels.
final class StepScratch {
    /// Rows of a thread's product tile, few enough that gates and ups stay in the L1 cache until they are multiplied.
    static let tileRows = 32
    /// Adjacent tokens whose attention shares loads in prefill.
    static let attendedTokens = 4

    /// Tokens that go through the layers together.
    let tokens: Int
    /// The residual stream.
    let hidden: DeviceBuffer<Float>
    /// `[outputRows, hidden]`: the residual stream of output rows, from the input of the last layer on.
    let ends: DeviceBuffer<Float>
    let normed: DeviceBuffer<Float>
    /// Queries, keys and values of a token, each in whole panels.
    let projections: DeviceBuffer<Float>
    let projectionStride: Int
    let attended: DeviceBuffer<Float>
    let activated: DeviceBuffer<Float>
    /// The output of attention or feed-forward, which the next norm adds to the residual stream.
    let result: DeviceBuffer<Float>
    let resultStride: Int
    /// The int8 form of `normed` and `attended`.
    let quantized: QuantizedBuffer
    /// The int8 form of `activated`.
    let quantizedActivated: QuantizedBuffer
    /// Each thread's expanded weights, product tiles and attention scores.
    let expansions: ThreadBuffer
    let tiles: ThreadBuffer
    let scores: ThreadBuffer
    /// Each thread's rows of floats that are not kept after their conversion to int8.
    let passing: ThreadBuffer
    /// `[outputRows, tiles]` summaries of logits.
    let summaries: DeviceBuffer<hk_logit_tile>
    /// The same of the logits from which logprobs are taken.
    let rawSummaries: DeviceBuffer<hk_logit_tile>
    /// Each thread's working memory for sampling.
    let samplers: SamplerPlaces

    /// Scratch for a model's widths.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        tokens: Int, outputRows: Int, threads: Int, weights: DecoderWeights
    ) throws(HostDeviceError) {
        self.tokens = tokens
        let (layer, geometry) = (weights.layers[0], weights.geometry)
        projectionStride = layer.query.matrix.paddedOutputs + 2 * layer.key.matrix.paddedOutputs
        resultStride = layer.down.matrix.paddedOutputs
        hidden = try DeviceBuffer(count: tokens * geometry.hidden)
        ends = try DeviceBuffer(count: outputRows * geometry.hidden)
        normed = try DeviceBuffer(count: tokens * geometry.hidden)
        projections = try DeviceBuffer(count: tokens * projectionStride)
        attended = try DeviceBuffer(count: tokens * geometry.queryWidth)
        activated = try DeviceBuffer(count: tokens * geometry.feedForward)
        result = try DeviceBuffer(count: tokens * resultStride)
        quantized = try QuantizedBuffer(rows: tokens, width: max(geometry.hidden, geometry.queryWidth))
        quantizedActivated = try QuantizedBuffer(rows: tokens, width: geometry.feedForward)
        expansions = try ThreadBuffer(threads: threads, each: Int(HK_SCRATCH_FLOATS))
        tiles = try ThreadBuffer(threads: threads, each: 2 * Self.tileRows * FeedForwardStage.panels * Int(HK_PANEL))
        scores = try ThreadBuffer(
            threads: threads, each: Self.attendedTokens * geometry.queryGroup * Int(HK_SPAN_SCORES))
        passing = try ThreadBuffer(
            threads: threads,
            each: max(Self.attendedTokens, Int(HK_ROW_BLOCK)) * max(geometry.hidden, geometry.queryWidth))
        summaries = try DeviceBuffer(count: outputRows * weights.output.panels)
        rawSummaries = try DeviceBuffer(count: outputRows * weights.output.panels)
        samplers = SamplerPlaces(threads: threads, vocabulary: geometry.vocabulary)
    }
}

/// The int8 form of up to `rows` rows of activations.
final class QuantizedBuffer {
    private let values: DeviceBuffer<Int8>
    private let scales: DeviceBuffer<Float>
    private let sums: DeviceBuffer<Int32>
    private let pairs: DeviceBuffer<Int16>
    private let quarters: DeviceBuffer<Int16>

    /// Memory for `rows` rows of up to `width` values.
    init(rows: Int, width: Int) throws(HostDeviceError) {
        let block = Int(HK_ROW_BLOCK)
        let count = (rows + block - 1) / block * block * Self.padded(width)
        values = try DeviceBuffer(count: count)
        scales = try DeviceBuffer(count: count / Int(HK_GROUP))
        sums = try DeviceBuffer(count: count / Int(HK_GROUP))
        pairs = try DeviceBuffer(count: count / Int(HK_GROUP))
        quarters = try DeviceBuffer(count: count / Int(HK_GROUP) * 2)
    }

    /// `width` in whole blocks.
    private static func padded(_ width: Int) -> Int { (width + Int(HK_BLOCK) - 1) / Int(HK_BLOCK) * Int(HK_BLOCK) }

    /// The kernels' view, with rows of `width` values of magnitudes up to `peak`.
    func view(width: Int, peak: Int32) -> hk_quantized {
        hk_quantized(
            values: values.base, scales: scales.base, sums: sums.base, pairs: pairs.base, quarters: quarters.base,
            width: Self.padded(width), peak: peak)
    }
}

/// Floats for each thread of a pool.
final class ThreadBuffer {
    private let memory: DeviceBuffer<Float>
    /// Floats of a thread, a multiple of a cache line's.
    private let each: Int

    init(threads: Int, each: Int) throws(HostDeviceError) {
        self.each = (each + 15) / 16 * 16
        memory = try DeviceBuffer(count: threads * self.each)
    }

    /// The addresses of each thread's floats.
    var places: ThreadPlaces { ThreadPlaces(base: memory.base, each: each) }
}

/// The addresses of each thread's floats; plain data for stages.
struct ThreadPlaces: BitwiseCopyable {
    let base: UnsafeMutablePointer<Float>
    let each: Int

    subscript(worker: Int) -> UnsafeMutablePointer<Float> { base + worker * each }
}

/// Each thread's sampler memory, accessible without reference counting.
final class SamplerPlaces {
    /// One element for each thread, kept alive by this object.
    let places: UnsafePointer<Unmanaged<SamplerScratch>>
    private let threads: Int

    init(threads: Int, vocabulary: Int) {
        self.threads = threads
        let places = UnsafeMutablePointer<Unmanaged<SamplerScratch>>.allocate(capacity: threads)
        for worker in 0..<threads {
            (places + worker).initialize(to: .passRetained(SamplerScratch(vocabulary: vocabulary)))
        }
        self.places = UnsafePointer(places)
    }

    deinit {
        for worker in 0..<threads { places[worker].release() }
        places.deallocate()
    }
}
