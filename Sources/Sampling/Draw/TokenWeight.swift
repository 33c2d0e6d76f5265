// A token's weight in the draw: the exponential function in float, the same bits on host and device.

/// Turns the logits of a row into weights. The highest logit has the weight 1, so no temperature causes an overflow.
struct TokenWeight {
    /// The row's highest logit.
    let highest: Float
    /// log₂e / temperature.
    let scale: Float

    /// e^((logit − highest) / temperature); 0 for NaN.
    @inline(__always)
    func callAsFunction(_ logit: Float) -> Float { Self.exponential((logit - highest) * scale) }

    /// Whether a logit's weight is 0.
    @inline(__always)
    func vanishes(_ logit: Float) -> Bool { !((logit - highest) * scale >= Self.least) }

    /// The weights of `count` logits.
    ///
    /// A plain loop, here and where tiles are summarised: the compiler vectorises it, and debug builds stay usable.
    @inline(never)
    func fill(_ weights: UnsafeMutablePointer<Float>, _ logits: UnsafePointer<Float>, count: Int) {
        var index = 0
        while index < count {
            weights[index] = self(logits[index])
            index += 1
        }
    }

    /// log₂e / temperature, kept finite and above 0, so that 0 · scale is 0 and no temperature makes a row greedy.
    static func scale(temperature: Float) -> Float {
        min(max(0x1.715476p0 / temperature, .leastNonzeroMagnitude), .greatestFiniteMagnitude)
    }

    /// The exponent of the smallest weight; below it, floats are subnormal.
    private static var least: Float { -125 }

    /// 2^x to about 2 ulp for x in [`least`, 0]; 0 below and for NaN. Cephes' polynomial.
    ///
    /// No fused multiply-adds: not every supported processor has them. The kernel `summarise` computes the same.
    @inline(__always)
    static func exponential(_ x: Float) -> Float {
        // Adding 1.5·2²³ rounds to an integer in the low bits, which is then added to the exponent.
        let shifted = x + 0x1.8p23
        let fraction = x - (shifted - 0x1.8p23)
        // Estrin's scheme: short chains of operations.
        let square = fraction * fraction
        let low =
            (1 + fraction * 6.931472028550421e-1)
            + square * (2.402264791363012e-1 + fraction * 5.550332471162809e-2)
        let high = (9.618437357674640e-3 + fraction * 1.339887440266574e-3) + square * 1.535336188319500e-4
        let p = low + (square * square) * high
        let power = Float(bitPattern: p.bitPattern &+ (shifted.bitPattern &<< 23))
        return x >= least ? power : 0
    }
}
