// Every golden rendering of Python's jinja2: the same text, or an error where it raises one.

import Jinja
import Testing

@Suite struct GoldenTests {
    @Test func snippetsRenderAsInPython() throws {
        let golden = try Golden.load(GoldenSnippets.self, "snippets")
        #expect(golden.cases.count > 300)
        let variables = golden.context.variables
        for snippet in golden.cases { check(snippet.source, variables, snippet.output, "snippet") }
    }

    @Test func chatTemplatesRenderAsInPython() throws {
        let golden = try Golden.load(GoldenChats.self, "chats")
        #expect(golden.templates.count >= 15)
        for template in golden.templates {
            for (conversation, output) in template.outputs {
                check(
                    template.source, golden.variables(of: conversation), output,
                    "\(template.name), conversation '\(conversation)'")
            }
        }
    }

    /// Segments joined are the plain rendering, neighbours differ in origin, and none is empty.
    @Test func segmentsJoinToTheRenderedText() throws {
        let golden = try Golden.load(GoldenChats.self, "chats")
        for chat in golden.templates {
            let template = try Template(chat.source)
            for case (let conversation, let output?) in chat.outputs {
                let segments = try template.rendering(
                    golden.variables(of: conversation), environment: Golden.environment
                ).segments
                #expect(segments.map(\.text).joined().unicodeScalars.elementsEqual(output.unicodeScalars))
                #expect(segments.allSatisfy { !$0.text.isEmpty })
                #expect(zip(segments, segments.dropFirst()).allSatisfy { $0.origin != $1.origin })
            }
        }
    }

    private func check(
        _ source: String, _ variables: [String: JinjaValue], _ expected: String?, _ what: String
    ) {
        switch (Golden.render(source, variables), expected) {
        case (.success(let text), let expected?):
            #expect(
                text.unicodeScalars.elementsEqual(expected.unicodeScalars),
                "\(what)\n\(source.prefix(300))\ngot      \(text.debugDescription)\nexpected \(expected.debugDescription)"
            )
        case (.failure(let error), let expected?):
            Issue.record("\(what)\n\(source.prefix(300))\nfailed with \(error)\nexpected \(expected.debugDescription)")
        case (.success(let text), nil):
            Issue.record("\(what)\n\(source.prefix(300))\ngot \(text.debugDescription)\nexpected an error")
        case (.failure, nil): break
        }
    }
}
