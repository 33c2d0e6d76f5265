// The activations of a tile of tokens, allocated once: memory stays flat however many tokens a step has.

import CHostKernels

/// Activations of up to `tokens` tokens, and scratch memory of each thread.
///
/// Widths ending in `Stride` are floats from one token's row to the next; the outputs of products are whole panels.
final class StepScratch {
    /// Tokens that go through the layers together.
    let tokens: Int
    let hidden: DeviceBuffer<Float>
    let normed: DeviceBuffer<Float>
    let projections: DeviceBuffer<Float>
    let projectionStride: Int
    let attended: DeviceBuffer<Float>
    let gated: DeviceBuffer<Float>
    let gatedStride: Int
    let activated: DeviceBuffer<Float>
    let result: DeviceBuffer<Float>
    let resultStride: Int
    /// `[tokens, pairs]` of the rotary embedding.
    let cosines: DeviceBuffer<Float>
    /// `[tokens, pairs]` of the rotary embedding.
    let sines: DeviceBuffer<Float>
    let quantized: hk_quantized
    private let quantizedValues: DeviceBuffer<Int8>
    private let quantizedScales: DeviceBuffer<Float>
    private let quantizedSums: DeviceBuffer<Float>
    private let expansion: DeviceBuffer<Float>
    private let scores: DeviceBuffer<Float>
    /// Floats of a query head's scores.
    let scoreStride: Int
    private let queryGroup: Int

    /// Scratch for a model's widths.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`.
    init(
        tokens: Int, threads: Int, weights: LlamaWeights, geometry: LlamaGeometry, rotatedPairs: Int, scoreStride: Int
    ) throws(HostDeviceError) {
        self.tokens = tokens
        self.scoreStride = scoreStride
        queryGroup = geometry.queryGroup
        let layer = weights.layers.first
        projectionStride = (layer?.query.paddedOutputs ?? 0) + 2 * (layer?.key.paddedOutputs ?? 0)
        gatedStride = 2 * (layer?.gate.paddedOutputs ?? 0)
        resultStride = layer?.down.paddedOutputs ?? 0
        hidden = try DeviceBuffer(count: tokens * geometry.hidden)
        normed = try DeviceBuffer(count: tokens * geometry.hidden)
        projections = try DeviceBuffer(count: tokens * projectionStride)
        attended = try DeviceBuffer(count: tokens * geometry.queryWidth)
        gated = try DeviceBuffer(count: tokens * gatedStride)
        activated = try DeviceBuffer(count: tokens * geometry.feedForward)
        result = try DeviceBuffer(count: tokens * resultStride)
        cosines = try DeviceBuffer(count: tokens * rotatedPairs)
        sines = try DeviceBuffer(count: tokens * rotatedPairs)
        let widest = max(geometry.hidden, geometry.queryWidth, geometry.feedForward)
        quantizedValues = try DeviceBuffer(count: tokens * widest)
        quantizedScales = try DeviceBuffer(count: tokens * widest / Int(HK_GROUP))
        quantizedSums = try DeviceBuffer(count: tokens * widest / Int(HK_GROUP))
        quantized = hk_quantized(
            values: quantizedValues.base, scales: quantizedScales.base, sums: quantizedSums.base)
        expansion = try DeviceBuffer(count: threads * Int(HK_SCRATCH_FLOATS))
        scores = try DeviceBuffer(count: threads * geometry.queryGroup * scoreStride)
    }

    /// A thread's memory for expanded weights.
    func expansion(worker: Int) -> UnsafeMutablePointer<Float> {
        expansion.base + worker * Int(HK_SCRATCH_FLOATS)
    }

    /// A thread's memory for attention scores.
    func scores(worker: Int) -> UnsafeMutablePointer<Float> {
        scores.base + worker * queryGroup * scoreStride
    }
}

/// A llama model's widths.
struct LlamaGeometry: Sendable {
    let hidden: Int
    let feedForward: Int
    let headSize: Int
    let queryHeads: Int
    let keyValueHeads: Int
    let vocabulary: Int

    var queryGroup: Int { queryHeads / keyValueHeads }
    var queryWidth: Int { queryHeads * headSize }
}
