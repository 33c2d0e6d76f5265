// Grammars of every kind on a vocabulary of bytes: what may come next, where a text may end, and what is refused.

import JSONText
import Sampling
import TestSupport
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

    /// Those whose nearest floating-point number is -2⁶³ would end the process.
    @Test func theSmallestIntegersAreRefused() throws {
        func isRefused(_ kind: GrammarSource.Kind) throws -> Bool {
            let vocabulary = try ConstraintVocabulary.bytes()
            do { _ = try vocabulary.compile(GrammarSource(kind)) } catch { return true }
            return false
        }
        for number in ["-9223372036854775808", "-9223372036854775500", "-9223372036854775296"] {
            #expect(try isRefused(.json(#"{"const":\#(number)}"#)))
            #expect(try isRefused(.json(#"{"properties":{"a":{"enum":[1,{"b":[\#(number)]}]}}}"#)))
            #expect(try isRefused(.lark(#"start: %json {"const": \#(number)}"#)))
        }
        for number in ["-9223372036854775295", "9223372036854775807", "-9.223372036854776e18"] {
            #expect(try !isRefused(.json(#"{"const":\#(number)}"#)), "\(number)")
        }
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

    /// Every keyword holds where no `type` stands beside it, or the schema is refused.
    static let untyped: [(schema: String, taken: String, refused: String)] = [
        (#"{"anyOf":[{"const":1},{"const":2}]}"#, "2", "3"), (#"{"oneOf":[{"const":1},{"const":2}]}"#, "2", "3"),
        (#"{"allOf":[{"minimum":2},{"maximum":4}]}"#, "3", "5"),
        (##"{"$ref":"#/$defs/a","$defs":{"a":{"const":1}}}"##, "1", "2"),
        (##"{"$ref":"#/definitions/a","definitions":{"a":{"const":1}}}"##, "1", "2"),
        (#"{"const":"a"}"#, #""a""#, #""b""#), (#"{"enum":[1,"a"]}"#, #""a""#, #""b""#),
        (#"{"type":"null"}"#, "null", "1"),
        (#"{"items":{"const":1}}"#, "[1,1]", "[1,2]"),
        (#"{"items":[{"const":1}],"additionalItems":{"const":2}}"#, "[1,2]", "[1,3]"),
        (#"{"prefixItems":[{"const":1},{"const":2}]}"#, "[1,2]", "[2]"), (#"{"minItems":2}"#, "[1,2]", "[1]"),
        (#"{"maxItems":1}"#, "[1]", "[1,2]"), (#"{"properties":{"a":{"const":1}}}"#, #"{"a":1}"#, #"{"a":2}"#),
        (#"{"properties":{"a":{}},"additionalProperties":{"const":1}}"#, #"{"a":2,"b":1}"#, #"{"a":2,"b":2}"#),
        (#"{"patternProperties":{"^a$":{"const":1}}}"#, #"{"a":1}"#, #"{"a":2}"#),
        (#"{"required":["a"]}"#, #"{"a":1}"#, "{}"), (#"{"minProperties":1}"#, #"{"a":1}"#, "{}"),
        (#"{"maxProperties":0}"#, "{}", #"{"a":1}"#), (#"{"minLength":2}"#, #""ab""#, #""a""#),
        (#"{"maxLength":1}"#, #""a""#, #""ab""#), (#"{"pattern":"^[a-c]+$"}"#, #""abc""#, #""abd""#),
        (#"{"pattern":"^[a-c]+$","maxLength":2}"#, #""ab""#, #""abc""#),
        (#"{"format":"date"}"#, #""2026-02-28""#, #""2026-02-30""#), (#"{"minimum":3}"#, "3", "2"),
        (#"{"maximum":3}"#, "3", "4"), (#"{"exclusiveMinimum":3}"#, "4", "3"), (#"{"exclusiveMaximum":3}"#, "2", "3"),
        (#"{"multipleOf":5}"#, "15", "16"),
        // Keywords beside a combination hold too.
        (#"{"anyOf":[{"type":"string"},{"type":"null"}],"maxLength":1}"#, #""a""#, #""ab""#),
        (#"{"allOf":[{"type":"integer"},{"minimum":2},{"maximum":4}]}"#, "4", "1"),
        (##"{"$ref":"#/$defs/a","maximum":3,"$defs":{"a":{"type":"integer"}}}"##, "3", "4"),
    ]

    @Test(arguments: untyped)
    func keywordsHoldWithoutAType(schema: String, taken: String, refused: String) throws {
        let source = GrammarSource(.json(schema))
        guard try GrammarChecker().problems(of: source).isEmpty else { return }
        #expect(try takes(source, taken), "\(taken)")
        #expect(try !takes(source, refused), "\(refused)")
    }

    /// The examples above name every keyword that is said to be enforced, and most of them are.
    @Test func noKeywordIsForgotten() throws {
        for keyword in SchemaKeywords.enforced.keys {
            #expect(Self.untyped.contains { $0.schema.contains("\"\(keyword)\":") }, "\(keyword)")
        }
        let refused = try Self.untyped.filter {
            try !GrammarChecker().problems(of: GrammarSource(.json($0.schema))).isEmpty
        }
        #expect(refused.count < 5, "\(refused.map(\.schema))")
    }

    /// Bytes, longer tokens that cross the borders of what grammars have, and two end tokens.
    private static let words = [
        "{\"", "\":", "\",\"", "},{", "[[", "]}", "true", "tru", "null", "12", "-0.", "1e", "ab", "abc", "\\\"", "é",
        "é\"",
        " ", "  ", "\n", "one", "onetwo",
    ]
    private static let mixed = Result {
        try ConstraintVocabulary(
            tokens: (0...255).map { [UInt8($0)] as [UInt8]? } + words.map { Array($0.utf8) } + [nil, nil],
            endTokens: [278, 279])
    }

    /// A mask's tokens are those that are accepted, and no others, after any beginning of a text.
    @Test(arguments: [
        GrammarSource(
            .json(
                #"{"type":"object","properties":{"a":{"type":"string","maxLength":6},"b":{"type":["integer","null"]}}}"#
            )),
        GrammarSource(.json("{}"), allowsWhitespace: true), GrammarSource(.json(#"{"type":"array","maxItems":4}"#)),
        GrammarSource(.regex("(ab|[0-9]{1,3}|é\")+")), GrammarSource(.choice(["one", "onetwo", "two", "é"])),
        GrammarSource(.lark("start: \"a\" | \"b\" start | \"[\" start \"]\"")),
    ])
    func masksAndAcceptedTokensAgree(source: GrammarSource) throws {
        let grammar = try Self.mixed.get().compile(source)
        let tokens = Int32(0)..<280
        var random = SplitMix64(seed: 20)
        for _ in 0..<12 {
            var text: [Int32] = []
            let constraint = try grammar.makeConstraint()
            while !constraint.mustEnd, text.count < 15 {
                let mask = try constraint.nextTokens()
                #expect(mask.allows(278) == constraint.mayEnd && mask.allows(279) == constraint.mayEnd, "\(text)")
                let (allowed, others) = (tokens.filter(mask.allows), tokens.filter { !mask.allows($0) })
                for token in [others.randomElement(using: &random), allowed.randomElement(using: &random)] {
                    guard let token else { continue }
                    let copy = try grammar.makeConstraint()
                    for token in text { try copy.accept(token) }
                    let isAccepted = (try? copy.accept(token)) != nil
                    #expect(isAccepted == mask.allows(token), "\(token) after \(text)")
                }
                let next = try #require(allowed.filter { $0 < 278 || text.count > 8 }.randomElement(using: &random))
                try constraint.accept(next)
                text.append(next)
            }
        }
    }
}
