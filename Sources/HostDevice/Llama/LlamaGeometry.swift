// The sizes of a llama model.

/// The sizes of a llama model's tensors.
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
