// The "language" that the fake model speaks: logits that are a hash of the whole sequence, and the tokens to expect of it.

import Platform
public import Sampling

/// A deterministic model of language: change one token or one position and everything after it changes.
public struct FakeLanguage: Sendable, Equatable {
    /// Tokens of the vocabulary.
    public var vocabularySize: Int
    /// Tokens that end generation.
    public var endOfGeneration: Set<Int32>

    /// A language of `vocabularySize` tokens.
    public init(vocabularySize: Int = 61, endOfGeneration: Set<Int32> = [0, 1]) {
        self.vocabularySize = vocabularySize
        self.endOfGeneration = endOfGeneration
    }

    /// State before the first token.
    public static let emptyState: UInt64 = 0x243F_6A88_85A3_08D3

    /// The state after `token` at `position`.
    public static func advance(_ state: UInt64, _ token: Int32, at position: Int) -> UInt64 {
        let input = UInt64(truncatingIfNeeded: token) &* 0x9E37_79B9_7F4A_7C15
        return mix(state ^ mix(input &+ UInt64(truncatingIfNeeded: position)))
    }

    /// The state after a whole sequence.
    public static func state(after tokens: some Sequence<Int32>) -> UInt64 {
        var state = emptyState
        for (position, token) in tokens.enumerated() { state = advance(state, token, at: position) }
        return state
    }

    /// `[vocabulary]` logits in 0..<8, all different in practice.
    public func logits(state: UInt64) -> [Float] {
        (0..<vocabularySize).map { token in
            Float(Self.mix(state &+ UInt64(token) &* 0xD1B5_4A32_D192_ED03) >> 40) * 0x1p-21
        }
    }

    /// The tokens that a request must get, whatever else is in the batch: the oracle for tests.
    ///
    /// Ends after `maxTokens`, or at a stop or (unless `ignoreEOS`) end-of-generation token, which is included.
    public func expectedTokens(prompt: [Int32], sampling: SamplingParams) -> [Int32] {
        var state = Self.state(after: prompt)
        var generated: [Int32] = []
        let constraint = sampling.grammar.map { try! $0.grammar.makeConstraint() }
        let ending = sampling.stopTokenIDs.union(sampling.ignoreEOS ? [] : endOfGeneration)
        while generated.count < sampling.maxTokens {
            let position = prompt.count + generated.count
            var logits = logits(state: state)
            // The state is made anew for every token, as after a preemption.
            let processor = RowProcessor(
                sampling, prompt: prompt, generated: generated, endOfGeneration: endOfGeneration,
                vocabulary: vocabularySize)
            let mask = constraint.map { try! $0.nextTokens() }
            guard let edits = processor.map({ $0.edits(constraint: mask) }) ?? LogitEdits(constraint: mask) else {
                break
            }
            let sampled = logits.withUnsafeMutableBufferPointer {
                TokenSampler.sample(
                    $0, TokenDraw(sampling.token, edits: edits), position: position, scratch: SamplerScratch())
            }
            guard let token = sampled?.id else { break }
            generated.append(token)
            if let constraint { try! constraint.accept(token) }
            if ending.contains(token) || constraint?.mustEnd == true { break }
            state = Self.advance(state, token, at: position)
        }
        return generated
    }

    /// The logprobs of a prompt's tokens, each computed from its own prefix.
    public func promptLogprobs(of tokens: [Int32], _ request: PromptLogprobsRequest) -> [TokenLogprobs] {
        (request.firstToken..<tokens.count).map { place in
            logits(state: Self.state(after: tokens[..<place])).withUnsafeBufferPointer {
                TokenSampler.logprobs($0, of: tokens[place], request.logprobs, scratch: SamplerScratch())
            }
        }
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
