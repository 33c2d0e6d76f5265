// A grammar for the text behind a model's reasoning, which is free.

/// Where a model's reasoning ends, in tokens.
public struct ReasoningMarks: Sendable, Hashable {
    /// The token that begins reasoning, if the text may begin with it; nil if the prompt has ended with it.
    public var start: Int32?
    /// The token that ends it.
    public var end: Int32

    /// Marks that are one token each.
    public init(start: Int32?, end: Int32) {
        self.start = start
        self.end = end
    }
}

/// A grammar that holds from the end of the reasoning on, as in vLLM. A model that is made to answer at once answers
/// worse.
public final class ReasonedGrammar: TokenGrammar {
    private let grammar: any TokenGrammar
    private let marks: ReasoningMarks
    private let endTokens: Set<Int32>

    /// `grammar`, behind reasoning, which does not end the text: `endTokens` do not come in it.
    public init(_ grammar: any TokenGrammar, _ marks: ReasoningMarks, endTokens: Set<Int32>) {
        self.grammar = grammar
        self.marks = marks
        self.endTokens = endTokens
    }

    /// The constraint of a text that has no token yet.
    public func makeConstraint() throws(ConstraintFault) -> any TokenConstraint {
        ReasonedConstraint(try grammar.makeConstraint(), marks, endTokens)
    }
}

/// The state of one text.
private final class ReasonedConstraint: TokenConstraint {
    private enum Place {
        /// Before the first token, which may begin reasoning or the answer.
        case start(Int32)
        case reasoning
        case answer
    }

    private let answer: any TokenConstraint
    private let end: Int32
    private let endTokens: Set<Int32>
    private var place: Place
    /// What may come in reasoning, once it was needed.
    private var free: TokenMask?

    init(_ answer: any TokenConstraint, _ marks: ReasoningMarks, _ endTokens: Set<Int32>) {
        self.answer = answer
        self.endTokens = endTokens
        end = marks.end
        place = marks.start.map { .start($0) } ?? .reasoning
    }

    var mayEnd: Bool { if case .reasoning = place { false } else { answer.mayEnd } }
    var mustEnd: Bool { if case .reasoning = place { false } else { answer.mustEnd } }

    func nextTokens() throws(ConstraintFault) -> TokenMask {
        switch place {
        case .start(let mark):
            var mask = try answer.nextTokens()
            mask.allow(mark)
            return mask
        case .reasoning:
            if let free { return free }
            let mask = try answer.nextTokens().all(but: endTokens)
            free = mask
            return mask
        case .answer: return try answer.nextTokens()
        }
    }

    func accept(_ token: Int32) throws(ConstraintFault) {
        switch place {
        case .start(token): place = .reasoning
        case .reasoning: if token == end { place = .answer }
        case .start, .answer:
            place = .answer
            try answer.accept(token)
        }
    }
}
