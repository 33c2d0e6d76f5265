// Mutated templates: whatever is done to the text of a template, it renders or throws, and never crashes or hangs.

import Jinja
import TestSupport
import Testing

@Suite struct MutationTests {
    private static let fragments = [
        "{%", "%}", "{{", "}}", "-", "(", ")", "[", "]", "'", "|", ".", " if ", " is ", "0", "-1", "none", "loop", "~",
        "{% endif %}", "{% else %}", "*", "**", ":", ",", "\u{E9}", "\n", "9223372036854775807", "messages", "|tojson",
        "%", "//", "{% for x in messages %}", "{% endfor %}", "[::-1]", "|list", "|first", "='", "{#",
    ]

    private func mutated(_ source: [Unicode.Scalar], _ random: inout SplitMix64) -> String {
        var scalars = source
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let position = Int.random(in: 0...scalars.count, using: &random)
            let end = min(scalars.count, position + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<3, using: &random) {
            case 0: scalars.removeSubrange(position..<end)
            case 1:
                scalars.insert(contentsOf: Self.fragments.randomElement(using: &random)!.unicodeScalars, at: position)
            default:
                let from = Int.random(in: 0...max(0, scalars.count - 40), using: &random)
                scalars.insert(contentsOf: scalars[from..<min(scalars.count, from + 40)], at: position)
            }
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    @Test func mutatedTemplatesRenderOrThrow() throws {
        let snippets = try Golden.load(GoldenSnippets.self, "snippets")
        let chats = try Golden.load(GoldenChats.self, "chats")
        let sources = (snippets.cases.map(\.source) + chats.templates.map(\.source)).map { Array($0.unicodeScalars) }
        let context = snippets.context.variables.merging(chats.variables(of: "tool results")) { $1 }
        var environment = Golden.environment
        environment.limits.work = 1_000_000
        var random = SplitMix64(seed: 42)
        var rendered = 0
        for round in 0..<4_000 {
            let source = mutated(sources[round % sources.count], &random)
            if let template = try? Template(source),
                (try? template.rendering(context, environment: environment)) != nil
            {
                rendered += 1
            }
        }
        #expect(rendered > 100 && rendered < 4_000)
    }
}
