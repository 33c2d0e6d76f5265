// What a decoder computes, described by values: families differ in these, not in code.

/// A decoder-only model: sizes, scales, and what each layer does.
///
/// A step whose weight is optional (a norm, a bias, a gate) is not described: it exists if the file has its weight.
public struct ModelDescription: Sendable, Equatable {
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Rows of the embedding table, and logits.
    public var vocabularySize: Int
    /// The norms of the residual stream, and of queries and keys if they have one.
    public var norm: Norm
    /// The layers, the first one first.
    public var layers: [Layer]
    /// Attention and feed-forward read the same norm, and both are added: x + attention(n) + feedForward(n).
    public var isParallel = false
    /// Factor of the token embeddings.
    public var embeddingScale: Float = 1
    /// Factor of what each attention and feed-forward adds to the residual stream.
    public var residualScale: Float = 1
    /// Factor of the logits.
    public var logitScale: Float = 1
    /// If c: logits become c·tanh(logit / c).
    public var logitCap: Float?

    /// The attention of each layer.
    public var attentions: [Attention] { layers.map(\.attention) }

    /// A normalisation.
    public struct Norm: Sendable, Equatable {
        /// What is divided by.
        public enum Kind: Sendable, Equatable {
            /// x / √(mean(x²) + ε) (arXiv 1910.07467).
            case rms
            /// (x − mean(x)) / √(variance(x) + ε), with a bias if the file has one (arXiv 1607.06450).
            case layer
        }

        /// Its kind.
        public var kind = Kind.rms
        /// ε.
        public var epsilon: Float
        /// Added to the file's weights: 1 where the file stores w for x̂·(1 + w).
        public var weightOffset: Float = 0

        /// A norm of a kind; `weightOffset` is added to the file's weights.
        public init(kind: Kind = .rms, epsilon: Float, weightOffset: Float = 0) {
            self.kind = kind
            self.epsilon = epsilon
            self.weightOffset = weightOffset
        }
    }

    /// A layer: what joins tokens, and what works on each by itself.
    public struct Layer: Sendable, Equatable {
        /// What joins tokens.
        public var mixer: Mixer
        /// What works on each token by itself.
        public var feedForward: FeedForward

        /// A layer.
        public init(mixer: Mixer, feedForward: FeedForward) {
            self.mixer = mixer
            self.feedForward = feedForward
        }

        /// Its attention.
        public var attention: Attention {
            switch mixer {
            case .attention(let attention): attention
            }
        }
    }

    /// What joins tokens in a layer.
    public enum Mixer: Sendable, Equatable {
        /// Softmax attention with a cache of keys and values.
        case attention(Attention)
    }

    /// What a layer does to each token by itself.
    public enum FeedForward: Sendable, Equatable {
        /// down(activation(gate(x)) · up(x)), or down(activation(up(x))) without a gate.
        case dense(Dense)
    }

    /// A feed-forward that all tokens go through.
    public struct Dense: Sendable, Equatable {
        /// Inner width.
        public var width: Int
        /// The activation function.
        public var activation: Activation

        /// A dense feed-forward.
        public init(width: Int, activation: Activation) {
            self.width = width
            self.activation = activation
        }
    }

    /// An activation function.
    public enum Activation: Sendable, Equatable {
        /// x·σ(x).
        case silu
        /// x·Φ(x), by the tanh approximation (arXiv 1606.08415).
        case gelu
        /// max(x, 0)².
        case squaredReLU
    }

    /// Softmax attention.
    public struct Attention: Sendable, Equatable {
        /// Query heads.
        public var heads: Int
        /// Key/value heads; divides `heads`.
        public var keyValueHeads: Int
        /// Width of a head of queries, keys and values.
        public var headSize: Int
        /// Factor of the scores.
        public var scale: Float
        /// If c: scores become c·tanh(score / c).
        public var scoreCap: Float?
        /// Positions that a token attends to, itself included; `nil` for all before it.
        public var window: Int?
        /// How positions are encoded; `nil` where they are not.
        public var rope: RotaryEmbedding?
        /// Queries and keys are normalised after the rotary embedding, not before, if they have a norm.
        public var normalisesAfterRope = false
        /// Queries are multiplied by a factor that grows with the position.
        public var temperature: QueryTemperature?

        /// Attention over all positions.
        public init(heads: Int, keyValueHeads: Int, headSize: Int, rope: RotaryEmbedding?) {
            self.heads = heads
            self.keyValueHeads = keyValueHeads
            self.headSize = headSize
            self.rope = rope
            scale = 1 / Float(headSize).squareRoot()
        }
    }

    /// Queries at position p are multiplied by 1 + β·ln(1 + ⌊p / interval⌋).
    public struct QueryTemperature: Sendable, Equatable {
        /// β.
        public var beta: Float
        /// Positions of the same factor.
        public var interval: Int

        /// A temperature.
        public init(beta: Float, interval: Int) {
            self.beta = beta
            self.interval = interval
        }
    }

    /// The norm and the layers of a model; scales are 1.
    public init(hiddenSize: Int, vocabularySize: Int, norm: Norm, layers: [Layer]) {
        self.hiddenSize = hiddenSize
        self.vocabularySize = vocabularySize
        self.norm = norm
        self.layers = layers
    }
}

extension ModelDescription {
    /// Changes the attention of each layer that has one, by the layer's index.
    mutating func updateAttention(_ change: (Int, inout Attention) -> Void) {
        for index in layers.indices {
            guard case .attention(var attention) = layers[index].mixer else { continue }
            change(index, &attention)
            layers[index].mixer = .attention(attention)
        }
    }

    /// Sets the activation of every dense feed-forward.
    mutating func setActivation(_ activation: Activation) {
        for index in layers.indices {
            guard case .dense(var dense) = layers[index].feedForward else { continue }
            dense.activation = activation
            layers[index].feedForward = .dense(dense)
        }
    }
}
