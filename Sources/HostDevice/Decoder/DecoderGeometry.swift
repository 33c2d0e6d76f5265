// The sizes of a decoder that are the same for all of its layers.

import ModelFiles

/// The sizes of a decoder's tensors.
struct DecoderGeometry: Sendable, Equatable {
    let hidden: Int
    let feedForward: Int
    let headSize: Int
    let queryHeads: Int
    let keyValueHeads: Int
    let vocabulary: Int

    var queryGroup: Int { queryHeads / keyValueHeads }
    var queryWidth: Int { queryHeads * headSize }
    var keyWidth: Int { keyValueHeads * headSize }
}

extension DecoderGeometry {
    /// The sizes of a described decoder.
    ///
    /// - Throws: `ModelFileError.unsupported` if layers have different sizes, which need caches of different shapes.
    init(_ description: ModelDescription, path: String) throws(ModelFileError) {
        let sizes = description.layers.map { layer in
            switch (layer.mixer, layer.feedForward) {
            case (.attention(let attention), .dense(let dense)):
                DecoderGeometry(
                    hidden: description.hiddenSize, feedForward: dense.width, headSize: attention.headSize,
                    queryHeads: attention.heads, keyValueHeads: attention.keyValueHeads,
                    vocabulary: description.vocabularySize)
            }
        }
        guard let first = sizes.first, sizes.allSatisfy({ $0 == first }) else {
            throw .unsupported(path: path, what: "a model whose layers have different sizes")
        }
        self = first
    }
}
