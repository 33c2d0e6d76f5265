// A grammar behind reasoning: what may come where.

import FakeModel
import Sampling
import Testing

@Suite struct ReasonedGrammarTests {
    private static let (start, end): (Int32, Int32) = (60, 61)
    private let grammar = FakeGrammar(vocabulary: 64, length: 4, ends: [0])

    private func constraint(opened: Bool) throws -> any TokenConstraint {
        try ReasonedGrammar(
            grammar, ReasoningMarks(start: opened ? nil : Self.start, end: Self.end), endTokens: [0, 99]
        )
        .makeConstraint()
    }

    private func allowed(_ constraint: any TokenConstraint) throws -> [Int32] {
        let mask = try constraint.nextTokens()
        return (0..<64).filter { mask.allows($0) }
    }

    /// What is behind the reasoning is what the grammar alone allows.
    private func expectGrammar(_ constraint: any TokenConstraint) throws {
        let alone = grammar.makeConstraint()
        while !alone.mustEnd {
            let tokens = try allowed(alone)
            #expect(try allowed(constraint) == tokens)
            #expect(constraint.mayEnd == alone.mayEnd && !constraint.mustEnd)
            try alone.accept(tokens.last!)
            try constraint.accept(tokens.last!)
        }
        #expect(constraint.mustEnd)
    }

    @Test(arguments: [true, false])
    func theGrammarBeginsWhereReasoningEnds(opened: Bool) throws {
        let constraint = try constraint(opened: opened)
        if !opened {
            #expect(try allowed(constraint).contains(Self.start))
            try constraint.accept(Self.start)
        }
        for token in [5, 60, 7] as [Int32] {
            // The text does not end here.
            #expect(try allowed(constraint) == Array(1..<64))
            #expect(!constraint.mayEnd && !constraint.mustEnd)
            try constraint.accept(token)
        }
        try constraint.accept(Self.end)
        try expectGrammar(constraint)
    }

    /// A model that does not reason answers at once; its first token is the mark or the grammar's.
    @Test func reasoningNeedNotBegin() throws {
        let first = try allowed(grammar.makeConstraint())
        let constraint = try constraint(opened: false)
        #expect(try allowed(constraint) == (first + [Self.start]).sorted())
        try constraint.accept(first.last!)
        let alone = grammar.makeConstraint()
        try alone.accept(first.last!)
        #expect(try allowed(constraint) == allowed(alone))
        #expect(try !allowed(constraint).contains(Self.start) || allowed(alone).contains(Self.start))
        let excluded = try #require((1..<64).first { try !allowed(alone).contains($0) })
        #expect(throws: ConstraintFault.self) { try constraint.accept(excluded) }
    }
}
