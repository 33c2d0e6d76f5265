// The rotary position embedding (RoPE, arXiv 2104.09864) and the ways to stretch it over longer contexts.

import Foundation

/// How positions are encoded: pairs of a head's elements are rotated by angles that grow with the position.
///
/// Numbers are rounded to float where Hugging Face transformers rounds them, so that the results
/// agree at large positions.
public struct RotaryEmbedding: Sendable, Equatable {
    /// Which elements of a head make a pair.
    public enum Pairs: Sendable, Equatable {
        /// (0, 1), (2, 3) …
        case neighbours
        /// (0, n/2), (1, n/2 + 1) … of n rotated elements.
        case halves
    }

    /// How the frequencies are changed for contexts that are longer than those of the training.
    public enum Scaling: Sendable, Equatable {
        /// Not at all.
        case none
        /// All frequencies are divided by the factor.
        case linear(factor: Float)
        /// Each pair's frequency is divided by a number of the file.
        case divisors([Float])
        /// Low frequencies are divided by a factor, high ones are not (Llama 3).
        case llama3(Llama3)
        /// The same with a ramp between, and a larger magnitude (YaRN, arXiv 2309.00071).
        case yarn(YaRN)
        /// Divisors for contexts up to the original one, and others for longer ones (LongRoPE, arXiv 2402.13753).
        case longRoPE(LongRoPE)
    }

    /// The parameters of Llama 3's scaling.
    public struct Llama3: Sendable, Equatable {
        var factor: Float
        var lowFrequencyFactor: Float
        var highFrequencyFactor: Float
        var originalContext: Int
    }

    /// The parameters of YaRN.
    public struct YaRN: Sendable, Equatable {
        var factor: Float
        var originalContext: Int
        var betaFast: Float = 32
        var betaSlow: Float = 1
        /// Whether the ends of the ramp are whole pairs.
        var truncates = true
        /// Factor of cosines and sines.
        var magnitude: Float
    }

    /// The parameters of LongRoPE.
    public struct LongRoPE: Sendable, Equatable {
        var shortDivisors: [Float]
        var longDivisors: [Float]
        var originalContext: Int
        /// Factor of cosines and sines.
        var magnitude: Float
    }

    /// Base of the frequencies.
    public var theta: Float
    /// The number of leading elements of a head that are rotated.
    public var dimensions: Int
    /// Which of them make a pair.
    public var pairs: Pairs
    /// How frequencies are changed for long contexts.
    public var scaling: Scaling

    /// A rotary embedding.
    public init(theta: Float, dimensions: Int, pairs: Pairs, scaling: Scaling = .none) {
        self.theta = theta
        self.dimensions = dimensions
        self.pairs = pairs
        self.scaling = scaling
    }

    /// Factor of cosines and sines.
    public var magnitude: Float {
        switch scaling {
        case .yarn(let yarn): yarn.magnitude
        case .longRoPE(let long): long.magnitude
        case .none, .linear, .divisors, .llama3: 1
        }
    }

    /// Each pair's angle at position 1, in radians.
    ///
    /// - Parameter maxSequenceLength: the longest sequence. LongRoPE's divisors are chosen by it once, so that a sequence
    ///   has the same keys however long it becomes.
    public func frequencies(maxSequenceLength: Int) -> [Float] {
        let inverses = (0..<dimensions / 2).map { pair in
            Float(pow(Double(theta), Double(Float(2 * pair) / Float(dimensions))))
        }
        switch scaling {
        case .none: return inverses.map { 1 / $0 }
        case .linear(let factor): return inverses.map { 1 / $0 / factor }
        case .divisors(let divisors): return zip(inverses, divisors).map { 1 / $0 / $1 }
        case .llama3(let llama3): return inverses.map { llama3.scaled(1 / $0) }
        case .yarn(let yarn): return yarn.scaled(inverses, theta: theta, dimensions: dimensions)
        case .longRoPE(let long):
            let divisors = maxSequenceLength > long.originalContext ? long.longDivisors : long.shortDivisors
            return zip(inverses, divisors).map { 1 / ($1 * $0) }
        }
    }
}

extension RotaryEmbedding.Llama3 {
    fileprivate func scaled(_ frequency: Float) -> Float {
        let wavelength = Float(2 * Double.pi) / frequency
        let context = Float(originalContext)
        if wavelength < context / highFrequencyFactor { return frequency }
        if wavelength > context / lowFrequencyFactor { return frequency / factor }
        let smooth = (context / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
        return (1 - smooth) * frequency / factor + smooth * frequency
    }
}

extension RotaryEmbedding.YaRN {
    fileprivate func scaled(_ inverses: [Float], theta: Float, dimensions: Int) -> [Float] {
        // The pair that turns so many times over the original context.
        func pair(turns: Float) -> Double {
            Double(dimensions) * log(Double(originalContext) / (Double(turns) * 2 * Double.pi))
                / (2 * log(Double(theta)))
        }
        var (low, high) = (pair(turns: betaFast), pair(turns: betaSlow))
        if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(dimensions - 1))
        if low == high { high += 0.001 }
        return inverses.enumerated().map { index, inverse in
            let kept = 1 - min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
            return 1 / (factor * inverse) * (1 - kept) + 1 / inverse * kept
        }
    }

    /// The magnitude where a file names none: 0.1·ln(factor) + 1 (YaRN, arXiv 2309.00071).
    static func standardMagnitude(factor: Float, weight: Float = 1) -> Float {
        factor <= 1 ? 1 : Float(0.1 * Double(weight) * log(Double(factor)) + 1)
    }
}
