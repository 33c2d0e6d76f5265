// Summaries of 32 neighbouring logits, from which tokens are sampled; the device's kernel `summarise` computes the
// same.

/// The summary of a tile: `LogitTile.width` neighbouring tokens of the vocabulary, or fewer in the last tile.
///
/// Its layout is that of the kernels' `hk_logit_tile`.
@frozen
public struct LogitTile: BitwiseCopyable, Sendable {
    /// The highest logit. A device writes NaN if the tile holds a NaN; the host counts a NaN as −∞.
    public var highest: Float
    /// Σ e^((logit − `highest`) / temperature) over the tile; 0 if weights are not needed.
    public var weight: Float

    /// A summary of a tile with the logit `highest` and the sum `weight`.
    public init(highest: Float, weight: Float) {
        self.highest = highest
        self.weight = weight
    }

    /// Tokens of a tile.
    public static let width = 32

    /// Tiles of a vocabulary of `vocabulary` tokens.
    public static func count(vocabulary: Int) -> Int { (vocabulary + width - 1) / width }
}

extension LogitTile {
    /// Fills `tiles` with the summaries of a row's logits.
    ///
    /// - Parameter weightScale: log₂e / temperature, or 0 for no weights.
    static func summarise(
        _ logits: UnsafeBufferPointer<Float>, weightScale: Float, into tiles: UnsafeMutablePointer<LogitTile>
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * width) { buffer in
            let (weights, padded) = (buffer.baseAddress!, buffer.baseAddress! + width)
            let whole = logits.count / width
            for tile in 0..<whole {
                tiles[tile] = LogitTile(of: logits.baseAddress! + tile * width, weightScale, weights)
            }
            let rest = logits.count - whole * width
            guard rest > 0 else { return }
            padded.initialize(repeating: -.infinity, count: width)
            padded.update(from: logits.baseAddress! + whole * width, count: rest)
            tiles[whole] = LogitTile(of: padded, weightScale, weights)
        }
    }

    /// The summary of a whole tile; `values` has room for `width` floats.
    @inline(__always)
    private init(of logits: UnsafePointer<Float>, _ weightScale: Float, _ values: UnsafeMutablePointer<Float>) {
        var index = 0
        while index < Self.width {
            values[index] = Self.greater(logits[index], -.infinity)
            index += 1
        }
        // Adding 0 turns −0 into 0, so that the order of comparisons does not matter.
        highest = Self.folded(values) { Self.greater($1, $0) } + 0
        weight = 0
        guard weightScale > 0 else { return }
        TokenWeight(highest: highest, scale: weightScale).fill(values, logits, count: Self.width)
        weight = Self.folded(values) { $0 + $1 }
    }

    /// `left` if it is greater, otherwise `right`; `right` where `left` is NaN.
    @inline(__always)
    private static func greater(_ left: Float, _ right: Float) -> Float { left > right ? left : right }

    /// Combines a tile's values in one fixed tree: value i with value i + 16, then with i + 8, i + 4, i + 2 and i + 1.
    @inline(__always)
    private static func folded(_ values: UnsafeMutablePointer<Float>, by combine: (Float, Float) -> Float) -> Float {
        var half = width / 2
        while half > 0 {
            var index = 0
            while index < half {
                values[index] = combine(values[index], values[index + half])
                index += 1
            }
            half /= 2
        }
        return values[0]
    }
}
