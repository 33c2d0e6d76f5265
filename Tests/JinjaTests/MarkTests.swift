// Marked texts: a rendering shows which of their characters were written, and which the template removed on purpose.

import Jinja
import Testing

@Suite struct MarkTests {
    private func rendering(_ source: String, _ messages: [JinjaValue], more: [String: JinjaValue] = [:]) throws
        -> Rendering
    {
        try Template(source).rendering(more.merging(["messages": .array(messages)]) { $1 })
    }

    private func message(_ text: String, _ mark: Int = 1) -> JinjaValue {
        ["role": "user", "content": .pieces([(text, mark)])]
    }

    private func text(_ rendering: Rendering?) -> String? { rendering?.segments.map(\.text).joined() }

    @Test(arguments: [
        ("{{ messages[0].content }}", 4), ("{{ messages[0].content | trim | upper }}", 4),
        ("{{ messages[0].role }}", nil),
        ("{{ messages[0].content[:4] }}", 2), ("{{ messages[0].content * 2 }}", 8), ("{{ messages[0] | tojson }}", 5),
        ("{{ messages }}", 4), ("{{ '%s|%s' % (messages[0].content, messages[0].role) }}", 4),
        ("{{ '{}'.format(messages[0].content) }}", 4), ("{{ messages[0].content.split() | join('+') }}", 4),
        ("{{ messages[0].content | length }}", nil),
        ("{% set x %}{{ messages[0].content }}{% endset %}{{ x | title }}", 4),
        ("{% if messages[0].content %}yes{% endif %}", nil),
        ("{% for c in messages[0].content %}{{ c }}{% endfor %}", 4),
    ])
    func whatIsWrittenOfATextIsCounted(source: String, count: Int?) throws {
        #expect(
            try rendering(source, [message("  a\"b c ")]).writtenCharacters.byMark == (count.map { [1: $0] } ?? [:]))
    }

    @Test func equalTextsAreToldApart() throws {
        let both = [message("hi", 1), message("hi", 2)]
        #expect(try rendering("{{ messages[1].content }} hi", both).writtenCharacters.byMark == [2: 2])
    }

    @Test(arguments: [
        ("{{ messages[0].content.replace('/no_think', '') }}", 9),
        ("{{ messages[0].content | replace('/no', 'x') }}", 3),
        ("{{ messages[0].content.split('_')[0] }}", 1), ("{{ messages[0].content.strip('/') }}", 1),
        ("{{ messages[0].content | trim('k') }}", 1), ("{{ messages[0].content.removeprefix('/no') }}", 3),
        ("{{ messages[0].content.removesuffix('k') }}", 1), ("{{ messages[0].content.replace('q', '') }}", nil),
        ("{{ messages[0].content.partition('_')[2] }}", nil),
    ])
    func whatATemplateNamesAndLeavesOutIsNoLoss(source: String, count: Int?) throws {
        #expect(
            try rendering(source, [message("/no_think")]).removedCharacters.byMark == (count.map { [1: $0] } ?? [:]))
    }

    /// Otherwise what a user wrote between a tool's strings could become a control token.
    @Test func whatIsSerialisedIsDataAsAWholeAndKeepsItsMarks() throws {
        let tool: JinjaValue = ["name": .marked("f", 1), "note": "n", "more": .marked(["key": "väl\"ue"], 2)]
        for (source, counts) in [("{{ tools | tojson }}", [1: 1, 2: 10]), ("{{ tools }}", [1: 1, 2: 9])] {
            let rendering = try rendering(source, [], more: ["tools": [tool]])
            #expect(rendering.segments.count == 1 && rendering.segments[0].origin == .data)
            #expect(rendering.writtenCharacters.byMark == counts)
            #expect(text(rendering)?.contains("väl") == true)
        }
        #expect(JinjaValue.array([tool]).visibleCharacters == 1 + 9 + 13)
    }

    @Test func marksChangeNoSegments() throws {
        let pieces: JinjaValue = ["role": "user", "content": .pieces([("a", 1), ("b", 2), ("", 3), ("c", 0)])]
        let rendering = try rendering("<{{ messages[0].content }}>", [pieces])
        #expect(rendering.segments.map(\.text) == ["<", "abc", ">"])
        #expect(rendering.segments.map(\.origin) == [.template, .data, .template])
    }

    @Test func aRenderingIsCutBeforeTheLastTextWithAMark() throws {
        let open: JinjaValue = ["role": "assistant", "content": .pieces([(" go on ", 1), ("END ", 2)])]
        #expect(text(try rendering("A{{ messages[0].content }}<end>", [open]).cut(before: 2)) == "A go on ")
        #expect(text(try rendering("A{{ messages[0].content | trim }}<end>", [open]).cut(before: 2)) == "Ago on")
        #expect(text(try rendering("A{{ messages[0].content * 2 }}", [open]).cut(before: 2)) == "A go on END  go on ")
        #expect(text(try rendering("A<end>", [open]).cut(before: 2)) == nil)
    }

    @Test func literalsAreThoseOfExpressions() throws {
        let template = try Template("tool {% if m.role == 'developer' %}{{ {'a': \"b\"}['a'] }}{% endif %}{# 'user' #}")
        for (text, isLiteral) in [("developer", true), ("a", true), ("b", true), ("tool", false), ("user", false)] {
            #expect(template.hasLiteral(text) == isLiteral)
        }
    }

    @Test func aRaisedReasonTellsNoMarkedText() throws {
        let error = #expect(throws: JinjaError.self) {
            try rendering("{{ raise_exception(messages[0].role ~ ' said ' ~ messages[0].content) }}", [message("x")])
        }
        #expect(error?.message == "user said …")
    }
}

extension MarkCounts {
    /// The counts of the marks that the tests use, without zeros.
    fileprivate var byMark: [Int: Int] {
        Dictionary(uniqueKeysWithValues: (1...9).filter { self[$0] != 0 }.map { ($0, self[$0]) })
    }
}
