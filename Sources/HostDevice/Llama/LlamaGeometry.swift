// A llama model's widths.

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
