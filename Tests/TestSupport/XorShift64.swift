// The generator of tests whose cases were drawn with it before there was a common one.

/// Xorshift with 64 bits of state (Marsaglia, 2003). The state must not be 0.
package struct XorShift64: RandomNumberGenerator {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
