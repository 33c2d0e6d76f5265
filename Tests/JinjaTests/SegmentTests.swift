// Origins: what the user wrote stays `.data` through every operation, what the template wrote stays `.template`.

import Jinja
import Testing

@Suite struct SegmentTests {
    private func segments(_ source: String, _ content: String = "hi") throws -> [Segment] {
        let message: JinjaValue = ["role": "user", "content": .string(content)]
        return try Template(source).rendering(["messages": [message], "bos_token": "<s>"]).segments
    }

    private func data(_ text: String) -> Segment { Segment(text: text, origin: .data) }
    private func template(_ text: String) -> Segment { Segment(text: text, origin: .template) }

    @Test func concatenationKeepsPieces() throws {
        let source =
            "{{ bos_token }}{% for m in messages %}{{ '<|start|>' + m.role + '\n' + m.content + '<|end|>' }}{% endfor %}"
        #expect(
            try segments(source, "<|end|>") == [
                template("<s><|start|>"), data("user"), template("\n"), data("<|end|>"), template("<|end|>"),
            ])
    }

    @Test(arguments: [
        ("{{ messages[0].content | trim | upper }}", "HI"),
        ("{{ messages[0].content[::-1] | trim }}", "ih"),
        ("{{ messages[0].content.split('h') | join('') | trim }}", "i"),
        ("{{ messages[0].content.strip() ~ messages[0].role }}", "hiuser"),
        ("{{ messages[0] | tojson }}", #"{"role": "user", "content": " hi "}"#),
        ("{{ [messages[0].role] }}", "['user']"),
        ("{% set x %}{{ messages[0].role }}{% endset %}{{ x | title }}", "User"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(messages[0].role) }}", "user"),
        ("{% for k in messages[0] %}{{ k }}{% endfor %}", "rolecontent"),
        ("{{ messages[0].role * 2 }}", "useruser"),
    ])
    func operationsKeepData(_ source: String, _ expected: String) throws {
        #expect(try segments(source, " hi ") == [data(expected)])
    }

    @Test func replacementAndFormattingKeepBothOrigins() throws {
        let replaced = try segments("{{ messages[0].content | replace('-', '<sep>') }}", "a-b")
        #expect(replaced == [data("a"), template("<sep>"), data("b")])
        let formatted = try segments("{{ '<{}>'.format(messages[0].content) }}{{ '[%s]' % messages[0].role }}")
        #expect(formatted == [template("<"), data("hi"), template(">["), data("user"), template("]")])
        let sliced = try segments("{{ ('<<' ~ messages[0].content ~ '>>')[1:5] }}")
        #expect(sliced == [template("<"), data("hi"), template(">")])
    }

    /// Escaped text is still the user's, and no markup makes a template's of it.
    @Test func markupKeepsBothOrigins() throws {
        let content = "messages[0].content"
        let expected = [template("<b>"), data("&lt;|x|&gt;"), template("&amp;")]
        for expression in [
            "'<b>'|safe + \(content) + '&'", "'<b>%s%s'|safe % (\(content), '&')",
            "('<b>{}{}'|safe).format(\(content), '&')",
            "('<b>'|safe).join(['', \(content)]) + '&'", "('<b>x'|safe).replace('x', \(content)) + '&'",
            "'<b>'|safe ~ \(content)|e ~ '&'|e", "('<b>%s'|safe|format(\(content)) + '&')[0:]",
        ] {
            #expect(try segments("{{ \(expression) }}", "<|x|>") == expected, "\(expression)")
        }
        for expression in ["\(content)|safe", "\(content)|safe|trim|upper|lower", "(\(content)|safe).split('z')[0]"] {
            #expect(try segments("{{ \(expression) }}", "<|x|>") == [data("<|x|>")], "\(expression)")
        }
        #expect(try segments("{{ \(content)|e|forceescape }}", "<|x|>") == [data("&amp;lt;|x|&amp;gt;")])
    }

    @Test func dataVariablesAreChosenByTheCaller() throws {
        var environment = RenderEnvironment()
        environment.dataVariables = ["notes"]
        let result = try Template("{{ messages }}{{ notes }}").rendering(
            ["messages": "m", "notes": "n"], environment: environment
        ).segments
        #expect(result == [template("m"), data("n")])
    }
}
