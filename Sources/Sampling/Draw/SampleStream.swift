// The counter-based random stream that host and device draw tokens from.

/// A stream of uniform numbers, one for each token position, keyed by the request's seed.
///
/// There is no state: the number for a position is a hash of seed and position (SplitMix64's finaliser, applied to
/// both).
/// It does not depend on where and when a token is sampled, or on the other rows of the batch.
public enum SampleStream {
    /// A number in [0, 1) for the token at `position` of the sequence; a multiple of 2⁻²⁴.
    public static func uniform(seed: UInt64, position: Int) -> Float {
        let counter = UInt64(truncatingIfNeeded: position) &* 0xD1B5_4A32_D192_ED03
        let bits = mix(mix(seed &+ 0x9E37_79B9_7F4A_7C15) ^ counter)
        return Float(bits >> 40) * 0x1p-24
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
