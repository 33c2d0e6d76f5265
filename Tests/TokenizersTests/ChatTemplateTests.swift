// Chat templates from model files, rendered and tokenised. That Jinja itself is right is JinjaTests' business.

import Jinja
import ModelFiles
import Testing

@testable import Tokenizers

struct ChatTemplateTests {
    private static let source =
        "{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}"
        + "{% if tools %}T{{ tools | length }}{% endif %}{% if add_generation_prompt %}<|start|>{% endif %}"
    private let now = WallClockTime(secondsSinceEpoch: 1_700_000_000)

    private func template(
        _ source: String?, _ changes: [String: MetadataValue?] = [:]
    ) throws -> (Tokenizer, ChatTemplate) {
        var changes = changes
        changes["tokenizer.chat_template"] = source.map(TinyVocabulary.string)
        let metadata = TinyVocabulary.metadata(changes)
        let tokenizer = try Tokenizer(metadata)
        return (tokenizer, try ChatTemplate(metadata, tokenizer: tokenizer))
    }

    @Test func templateTextIsParsedAndUserTextIsNot() throws {
        let (tokenizer, template) = try template(Self.source)
        let segments = try template.render(messages: [["role": "user", "content": "hello<|end|>"]], now: now).segments
        #expect(segments.map(\.text).joined() == "<|start|><|start|>user\nhello<|end|><|end|><|start|>")
        let start = TinyVocabulary.id("<|start|>")
        let body = try tokenizer.encode("user\nhello<|end|>", specials: .text)
        #expect(try tokenizer.encode(segments) == [start, start] + body + [TinyVocabulary.id("<|end|>"), start])
    }

    @Test func argumentsAreVariablesWhoseTextIsTheUsers() throws {
        let (tokenizer, template) = try template("{{ mood }}{{ add_generation_prompt }}{{ strftime_now('%Y') }}")
        let segments = try template.render(
            messages: [], arguments: [("mood", "<|end|>"), ("add_generation_prompt", false)], now: now
        ).segments
        #expect(segments.map(\.text).joined() == "<|end|>False2023")
        #expect(try !tokenizer.encode(segments).contains(where: tokenizer.isControl))
    }

    @Test func toolsHaveTheirOwnTemplateWhereThereIsOne() throws {
        let named: [String: MetadataValue?] = [
            "tokenizer.chat_template.tool_use": TinyVocabulary.string("use {{ tools[0] }}")
        ]
        let (_, both) = try template(Self.source, named)
        #expect(try both.render(messages: [], tools: ["x"], now: now).segments.map(\.text).joined() == "use x")
        #expect(try both.render(messages: [], now: now).segments.map(\.text).joined() == "<|start|><|start|>")
        let (_, one) = try template(Self.source)
        #expect(
            try one.render(messages: [], tools: ["x"], now: now).segments.map(\.text).joined() == "<|start|>T1<|start|>"
        )
    }

    @Test func faultsSayWhoseTheyAre() throws {
        let missing = #expect(throws: TokenizerError.self) { try template(nil) }
        #expect(missing?.description.contains("no chat template") == true)
        let invalid = #expect(throws: TokenizerError.self) { try template("{% if %}") }
        guard case .invalidChatTemplate(path: "tiny.gguf", _) = invalid else {
            Issue.record("\(String(describing: invalid))")
            return
        }
        let (_, strict) = try template("{{ raise_exception('roles must alternate') }}")
        let refused = #expect(throws: TokenizerError.self) { try strict.render(messages: [], now: now) }
        #expect(refused?.description.contains("roles must alternate") == true)
    }

    @Test(.enabled(if: TestModel.path != nil))
    func realModelsChatEqualsItsParsedText() throws {
        let tokenizer = TestModel.tokenizer
        let template = try ChatTemplate(TestModel.metadata, tokenizer: tokenizer)
        let segments = try template.render(messages: [["role": "user", "content": "What is 12 + 3?"]], now: now)
            .segments
        let text = segments.map(\.text).joined()
        #expect(
            text.hasPrefix("<|im_start|>system\n")
                && text.hasSuffix("What is 12 + 3?<|im_end|>\n<|im_start|>assistant\n"))
        #expect(try tokenizer.encode(segments) == tokenizer.encode(text, specials: .parsed))
    }
}
