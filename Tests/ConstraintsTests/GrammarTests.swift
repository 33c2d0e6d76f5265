// Grammars of every kind on a vocabulary of bytes: what may come next, where a text may end, and what is refused.

import JSONText
import Sampling
import Testing

@testable import Constraints

@Suite struct GrammarTests {
    private static let vocabulary = Result { try ConstraintVocabulary.bytes() }

    /// Whether a grammar takes a text as a whole.
    private func takes(_ source: GrammarSource, _ text: String) throws -> Bool {
        let constraint = try Self.vocabulary.get().compile(source).makeConstraint()
        for byte in text.utf8 {
            guard !constraint.mustEnd, try constraint.nextTokens().allows(Int32(byte)) else { return false }
            try constraint.accept(Int32(byte))
        }
        return constraint.mayEnd
    }

    @Test(arguments: [
        (GrammarSource(.regex("[a-c]{2,3}")), ["ab", "cba"], ["a", "abcd", "d"]),
        (
            GrammarSource(.choice(["yes", "no", "\"q\"\\\n", "é😀"])), ["yes", "no", "\"q\"\\\n", "é😀"],
            ["y", "yesno", "é"]
        ),
        (GrammarSource(.lark("start: \"a\" | \"b\" start")), ["a", "bba"], ["b", "ab"]),
        (GrammarSource(.json(#"{"type":"object"}"#)), ["{}", #"{"a":1}"#], ["[]", "{ }", #"{"a": 1}"#]),
        (GrammarSource(.json("{}"), allowsWhitespace: true), ["{ }", "[1 , 2]", "3"], [" 3", "x"]),
        (GrammarSource(.json("true")), ["3", #""x""#], ["x"]),
        (
            GrammarSource(.json(#"{"type":"string","format":"time"}"#)), [#""23:59:59Z""#, #""00:00:00.5+01:00""#],
            [#""23:59:60Z""#, #""24:00:00Z""#]
        ),
        (
            GrammarSource(.json(#"{"type":"string","format":"date-time","pattern":"^2"}"#)),
            [#""2026-11-29T12:30:00Z""#], [#""1999-11-29T12:30:00Z""#, #""2026-11-29T12:30:60Z""#]
        ),
        (
            GrammarSource(
                .json(#"{"type":"object","properties":{"n":{"type":"integer","minimum":3}},"required":["n"]}"#)),
            [#"{"n":3}"#, #"{"n":40,"m":null}"#], [#"{"n":2}"#, "{}"]
        ),
    ])
    func textsAreTakenOrNot(source: GrammarSource, taken: [String], refused: [String]) throws {
        for text in taken { #expect(try takes(source, text), "\(text)") }
        for text in refused { #expect(try !takes(source, text), "\(text)") }
    }

    @Test func textsOfOneGrammarAreIndependent() throws {
        let grammar = try Self.vocabulary.get().compile(GrammarSource(.regex("ab|cd")))
        let (first, second) = (try grammar.makeConstraint(), try grammar.makeConstraint())
        try first.accept(97)
        #expect(try first.nextTokens().count(vocabulary: 256) == 1)
        #expect(try second.nextTokens().count(vocabulary: 256) == 2)
        try first.accept(98)
        #expect(first.mayEnd && first.mustEnd && !second.mayEnd)
        #expect(throws: ConstraintFault.self) { try second.accept(98) }
    }

    static let refusals: [(schema: String, path: String, complaint: String)] = [
        (#"{"properties":{"x":{"not":{}}}}"#, ".properties.x.not", "cannot be enforced"),
        (#"{"items":[{"if":true}]}"#, ".items[0].if", "cannot be enforced"),
        (#"{"minimun":3}"#, ".minimun", "is not a keyword of JSON Schema"),
        (#"{"anyOf":[{"type":"strnig"}]}"#, ".anyOf[0].type", "is no type"),
        (#"{"$ref":"http://a.b/c"}"#, ".$ref", "refers to another document"),
        (##"{"$ref":"#/$defs/a"}"##, ".$ref", "refers to \"#/$defs/a\", which is not there"),
        (#"{"type":"string","format":"iban"}"#, ".format", "\"iban\" cannot be enforced"),
        (#"{"enum":[]}"#, ".enum", "is no array of values"),
        (#"{"required":[1]}"#, ".required", "is no array of strings"),
        (#"{"minLength":-1}"#, ".minLength", "is no count"),
        (#"{"x-guidance":{"lenient":true}}"#, ".x-guidance", "cannot be enforced"),
        ("[]", "", "is no schema"),
        ("{", "", "is no JSON"),
        // What only the compiler knows: the place is found by trying parts.
        (
            #"{"properties":{"a":{"oneOf":[{"type":"string"},{"minLength":2}]}}}"#, ".properties.a",
            "cannot be enforced: "
        ),
        (#"{"type":"array","items":{"pattern":"(?=a)b","type":"string"}}"#, ".items", "cannot be enforced: "),
        (
            ##"{"$defs":{"a":{"type":"object","properties":{"b":{"pattern":"(?!x)"}}}},"$ref":"#/$defs/a"}"##,
            ".$defs.a.properties.b", "cannot be enforced: "
        ),
    ]

    @Test(arguments: refusals)
    func refusalsNameThePlace(schema: String, path: String, complaint: String) throws {
        let problems = try GrammarChecker().problems(of: GrammarSource(.json(schema)))
        #expect(problems.count == 1)
        #expect(problems.first?.path == path)
        #expect(problems.first?.complaint.hasPrefix(complaint) == true, "\(problems)")
    }

    @Test func deepAndLargeSchemasAreRefused() throws {
        let deep = String(repeating: #"{"items":"#, count: 70) + "{}" + String(repeating: "}", count: 70)
        let nested = try GrammarChecker().problems(of: GrammarSource(.json(deep)))
        #expect(nested.first?.complaint.contains("64 deep") == true)
        let members = (0..<21_000).map { #""p\#($0)":{}"# }.joined(separator: ",")
        let large = try GrammarChecker().problems(of: GrammarSource(.json(#"{"properties":{\#(members)}}"#)))
        #expect(large == [GrammarProblem("", "has more than 20000 schemas", "make it simpler")])
    }

    @Test(arguments: [GrammarSource(.regex("(")), GrammarSource(.regex("(?=a)")), GrammarSource(.lark("start: x"))])
    func otherGrammarsAreRefusedAsAWhole(source: GrammarSource) throws {
        let problems = try GrammarChecker().problems(of: source)
        #expect(problems.count == 1 && problems[0].path == "")
    }

    @Test func textThatNoGrammarHas() {
        #expect(throws: ConstraintFault.self) { try Self.vocabulary.get().compile(GrammarSource(.regex("a\u{0}b"))) }
    }
}
