// The operations of a step's stages: plain data, so that replaying a trace changes no reference counts.

import CHostKernels
import Platform
import Sampling

/// A stage's work, over parts of its items.
enum StageOperation: BitwiseCopyable {
    /// Items: tokens. Their embeddings and rotary angles.
    case embed(EmbedStage)
    /// Items: tokens. Residual add, norm, int8 form.
    case norm(NormStage)
    /// Items: panels. Products of the same activations.
    case products(ProductStage)
    /// Items: tokens. The norm of queries or keys over all heads.
    case normHeads(NormHeadsStage)
    /// Items: tokens. Rotary angles, and the preparation of queries alone.
    case prepareQueries(PrepareQueriesStage)
    /// Items: KV heads of tokens. The preparation of their keys and queries; keys and values to the cache.
    case store(StoreStage)
    /// Items: parts of the step's attention plan.
    case attend(AttendStage)
    /// Items: tokens. The int8 form alone, where no other stage makes it.
    case quantize(QuantizeStage)
    /// Items: some rows of a pair of panels. Gate, up and activation.
    case feedForward(FeedForwardStage)
    /// Items: panels of the vocabulary.
    case logits(LogitsStage)
    /// Items: output rows. The logit of the token that is scored.
    case scoredLogits(LogitsStage)
    /// Items: output rows.
    case sample(SampleStage)

    /// The kind that the profile counts it as.
    var kind: KernelKind {
        switch self {
        case .embed, .norm, .quantize: .rows
        case .products, .feedForward: .products
        case .normHeads, .prepareQueries, .store, .attend: .attention
        case .logits, .scoredLogits: .logits
        case .sample: .sampling
        }
    }
}

/// The kinds of kernels that a profile distinguishes.
public enum KernelKind: Int, CaseIterable, Sendable {
    /// Embedding, norms and quantisation: one token at a time.
    case rows
    /// The layers' matrix products, with activation functions.
    case products
    /// Rotary embedding, cache writes, attention.
    case attention
    /// The output head's matrix product.
    case logits
    /// Choosing tokens.
    case sampling
}

/// Input activations of products, in the forms that the products take: at least one of the two.
struct Activations: BitwiseCopyable {
    /// `width` floats a row; `nil` if all products take the int8 form, so that a thread holds the floats of a few rows
    /// only until they are converted.
    let values: UnsafeMutablePointer<Float>?
    let width: Int
    let quantized: hk_quantized?
}

/// A product's weights and where its results go.
struct Projection: BitwiseCopyable {
    let matrix: UnsafePointer<hk_matrix>
    let panels: Int
    let usesInt8: Bool
    /// Row 0's results; whole panels are written.
    let output: UnsafeMutablePointer<Float>
    /// Floats from one row's results to the next's.
    let stride: Int

    /// The address of a panel's weights.
    func weights(panel: Int) -> UnsafePointer<UInt8> {
        UnsafePointer(matrix.pointee.values) + panel * matrix.pointee.panel_bytes
    }
}

/// The products of a stage. Its items are the panels of all products in order; an item is several panels of a single
/// product.
struct Projections: BitwiseCopyable {
    let first: Projection
    var second: Projection?
    var third: Projection?
    var panelsOfItem = 1
    /// Threads that share the stage.
    let threads: Int

    /// Items of all products.
    var count: Int {
        (first.panels + (second?.panels ?? 0) + (third?.panels ?? 0) + panelsOfItem - 1) / panelsOfItem
    }

    /// The first weights of an item.
    func weights(item: Int) -> UnsafePointer<UInt8> {
        if item * panelsOfItem < first.panels { return first.weights(panel: item * panelsOfItem) }
        let rest = item - first.panels
        if let second, rest < second.panels { return second.weights(panel: rest) }
        return (third ?? second ?? first).weights(panel: rest - (second?.panels ?? 0))
    }

    /// The first weights that `worker` needs.
    func weights(worker: Int) -> UnsafePointer<UInt8> { weights(item: share(of: worker).lowerBound) }

    /// The items of `worker`'s share.
    func share(of worker: Int) -> Range<Int> { StagedWork.Stage(count: count).share(of: worker, threads: threads) }
}

/// The cache that is needed next, prefetched during a stage.
struct ReadAhead: BitwiseCopyable {
    let places: ReadAheadPlaces
    let cache: UnsafePointer<hk_cache>
}

struct EmbedStage: BitwiseCopyable {
    let tokens: UnsafePointer<StepToken>
    let tensorType: UInt32
    let table: UnsafeRawPointer
    let rowBytes: Int
    let hidden: UnsafeMutablePointer<Float>
    let width: Int
    /// Factor of the embeddings.
    let scale: Float
    /// The angles of every rotary embedding of the model.
    let angles: UnsafeBufferPointer<RotaryAngles>
}

/// The cosines and sines of each row's angles, `[rows, pairs]`.
struct RotaryAngles: BitwiseCopyable {
    let frequencies: UnsafeBufferPointer<Float>
    /// Factor of cosines and sines.
    let magnitude: Float
    /// Whether element i of a head makes a pair with element i + `pairs`, not with its neighbour.
    let isHalves: Bool
    let cosines: UnsafeMutablePointer<Float>
    let sines: UnsafeMutablePointer<Float>

    /// Pairs of a head that are rotated.
    var pairs: Int { frequencies.count }
}

/// A norm of rows of floats.
struct RowNorm: BitwiseCopyable {
    let scale: UnsafePointer<Float>
    let bias: UnsafePointer<Float>?
    let epsilon: Float
    /// Whether the mean is subtracted first.
    let isCentred: Bool
}

/// What is added to the residual stream.
struct ResidualDelta: BitwiseCopyable {
    let values: UnsafeMutablePointer<Float>
    /// Floats from one row to the next.
    let stride: Int
    /// Added to the values first.
    let bias: UnsafePointer<Float>?
    /// Then they are normalised.
    let norm: RowNorm?
    /// Their factor.
    let scale: Float

    /// Whether the values are added as they are.
    var isPlain: Bool { bias == nil && norm == nil && scale == 1 }
}

struct NormStage: BitwiseCopyable {
    let hidden: UnsafeMutablePointer<Float>
    /// Added to the residual.
    let delta: ResidualDelta?
    /// Whether it is added after the norm has been computed, not before.
    let addsLast: Bool
    /// `nil` for the residual itself.
    let norm: RowNorm?
    let output: Activations
    /// Each thread's memory for rows of floats that are not kept.
    let passing: ThreadPlaces
}

/// What is done to heads of queries or keys before attention.
struct HeadPreparation: BitwiseCopyable {
    /// Added first; for all heads.
    let bias: UnsafePointer<Float>?
    /// The norm of each head.
    let norm: RowNorm?
    let normalisesAfterRope: Bool
    /// `nil` if positions are not encoded.
    let angles: RotaryAngles?
    /// The factor 1 + β·ln(1 + ⌊position / interval⌋); no factor if β is 0.
    let beta: Float
    let interval: Int

    /// Whether there is nothing to do.
    var isEmpty: Bool { bias == nil && norm == nil && angles == nil && beta == 0 }
}

struct NormHeadsStage: BitwiseCopyable {
    let heads: UnsafeMutablePointer<Float>
    let stride: Int
    let width: Int
    /// Added first.
    let bias: UnsafePointer<Float>?
    let norm: RowNorm
}

struct ProductStage: BitwiseCopyable {
    let rows: Int
    let input: Activations
    let projections: Projections
    /// The next products, whose weights are prefetched.
    let following: Projections
    let readAhead: ReadAhead?
    let expansions: ThreadPlaces
}

struct PrepareQueriesStage: BitwiseCopyable {
    let tokens: UnsafePointer<StepToken>
    let queries: UnsafeMutablePointer<Float>
    let stride: Int
    let count: Int
    let headSize: Int
    let preparation: HeadPreparation
}

struct StoreStage: BitwiseCopyable {
    let tokens: UnsafePointer<StepToken>
    let pageTable: UnsafePointer<UnsafePointer<Int32>?>
    let cache: UnsafePointer<hk_cache>
    let queries: UnsafeMutablePointer<Float>
    let keys: UnsafeMutablePointer<Float>
    let values: UnsafeMutablePointer<Float>
    let stride: Int
    /// Query heads of each KV head, which are also prepared.
    let group: Int
    let query: HeadPreparation
    let key: HeadPreparation
    /// Added to the values; for all heads.
    let valueBias: UnsafePointer<Float>?
}

struct AttendStage: BitwiseCopyable {
    let tokens: UnsafePointer<StepToken>
    let items: AttentionItems
    let pageTable: UnsafePointer<UnsafePointer<Int32>?>
    let cache: UnsafePointer<hk_cache>
    let group: Int
    let queries: UnsafePointer<Float>
    let queryStride: Int
    let scale: Float
    /// 0 for none.
    let cap: Float
    /// Positions that a token attends to; `Int.max` for all before it.
    let window: Int
    let scores: ThreadPlaces
    /// The heads' outputs; `quantized` is written here if a head group's width is whole blocks of the int8 form.
    let output: Activations
    /// Each thread's memory for a head group's outputs as floats that are not kept.
    let passing: ThreadPlaces
}

struct QuantizeStage: BitwiseCopyable {
    let values: UnsafePointer<Float>
    let width: Int
    let quantized: hk_quantized
}

struct FeedForwardStage: BitwiseCopyable {
    /// Panels of an item; their outputs are whole blocks of the int8 form.
    static let panels = Int(HK_BLOCK / HK_PANEL)

    let rows: Int
    let input: Activations
    /// The gate, or up in a feed-forward without one: what the activation function is applied to.
    let gate: Projections
    /// `nil` without a gate.
    let up: Projection?
    let gateBias: UnsafePointer<Float>?
    let upBias: UnsafePointer<Float>?
    /// The kernels' constant of the activation function.
    let activation: Int32
    let following: Projections
    let readAhead: ReadAhead?
    /// Outputs of `gate` and `up` without padding.
    let width: Int
    let output: Activations
    let tiles: ThreadPlaces
    let expansions: ThreadPlaces

    /// Number of items that share the panels of one item of `gate`.
    var rowTiles: Int { (rows + StepScratch.tileRows - 1) / StepScratch.tileRows }
    /// Number of items; adjacent items share panels.
    var count: Int { gate.count * rowTiles }
}

struct LogitsStage: BitwiseCopyable {
    let rows: Int
    let input: Activations
    /// The output head; its results are kept only if `wantsLogits` is set.
    let head: Projections
    let following: Projections
    let vocabulary: Int
    /// Factor of the logits.
    let scale: Float
    /// If positive: logits become cap·tanh(logit / cap).
    let cap: Float
    let wantsLogits: UnsafePointer<Bool>
    let hasEdits: UnsafePointer<Bool>
    let outputs: UnsafePointer<StepOutputRow>
    let weightScales: UnsafePointer<Float>
    /// `[rows, panels]`
    let summaries: UnsafeMutablePointer<hk_logit_tile>
    /// `[rows, panels]`: those of the logits from which logprobs are taken, of rows that want any.
    let rawSummaries: UnsafeMutablePointer<hk_logit_tile>
    let tiles: ThreadPlaces
    let expansions: ThreadPlaces
    /// The logit of each row's scored token.
    let scoredLogits: UnsafeMutablePointer<Float>
    /// `[rows, panels]`: how many logits are at least as high as that; `nil` if no rank is wanted.
    let ranks: UnsafeMutablePointer<Int32>?
}

struct SampleStage: BitwiseCopyable {
    /// The logits' stage; the tiles whose logits sampling reads are computed again.
    let logits: LogitsStage
    let samplers: UnsafePointer<Unmanaged<SamplerScratch>>
    let chosen: UnsafeMutablePointer<Int32>
    /// `[rows, StepInputs.mostLogprobs]`
    let logprobs: UnsafeMutablePointer<TokenLogprob>
}
