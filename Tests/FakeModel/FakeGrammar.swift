// A grammar for tests without a library: what may come next depends on every token before.

public import Sampling

/// Texts of `length` tokens, of which each is one of about a third of the vocabulary; they may end from half of it on.
public final class FakeGrammar: TokenGrammar {
    private let vocabulary: Int
    private let length: Int
    private let ends: Set<Int32>

    /// A grammar for a model of `vocabulary` tokens.
    public init(vocabulary: Int, length: Int, ends: Set<Int32>) {
        self.vocabulary = vocabulary
        self.length = length
        self.ends = ends
    }

    /// A text without tokens.
    public func makeConstraint() -> any TokenConstraint { State(self) }

    private final class State: TokenConstraint {
        private let grammar: FakeGrammar
        private var count = 0
        private var hash = 17

        init(_ grammar: FakeGrammar) { self.grammar = grammar }

        var mayEnd: Bool { count * 2 >= grammar.length }
        var mustEnd: Bool { count >= grammar.length }

        func nextTokens() throws(ConstraintFault) -> TokenMask {
            guard !mustEnd else { throw ConstraintFault("a text goes on behind its end") }
            let tokens = (0..<Int32(grammar.vocabulary)).filter { token in
                grammar.ends.contains(token) ? mayEnd : (Int(token) + hash) % 3 == 0
            }
            return TokenMask(vocabulary: grammar.vocabulary, allowing: tokens)
        }

        func accept(_ token: Int32) throws(ConstraintFault) {
            guard try nextTokens().allows(token) else { throw ConstraintFault("token \(token) was not allowed") }
            count = grammar.ends.contains(token) ? grammar.length : count + 1
            hash = (hash * 31 + Int(token)) % 1009
        }
    }
}
