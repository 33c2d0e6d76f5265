// `continue_final_message` as transformers renders it, for every family of templates.

import FakeModel
import Foundation
import Jinja
import OpenAIFormats
import Runtime
import TestSupport
import Testing

@testable import Prompts

/// What `make_continue_golden.py` has written.
private struct Golden: Decodable {
    let conversations: [String: [[String: String]]]
    /// By template and conversation; nil where transformers raises an error.
    let results: [String: [String: String?]]

    static func load() throws -> Golden {
        let path = Locations.golden("transformers/continue-final-message.json")
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: path))
    }

    func chat(_ conversation: String) throws -> RequestBody.Chat {
        let fields: [String: Any] = [
            "messages": conversations[conversation]!, "continue_final_message": true, "add_generation_prompt": false,
        ]
        let body = try JSONSerialization.data(withJSONObject: fields)
        guard case .chat(let chat) = try RequestBody.parse(Array(body), endpoint: .chatCompletions).prompts[0] else {
            fatalError("a chat was read as something else")
        }
        return chat
    }
}

@Suite struct ContinueFinalMessageTests {
    @Test(arguments: NothingLostTests.templates)
    func theTurnEndsWhereTransformersEndsIt(path: String) throws {
        let golden = try Golden.load()
        let state = TinyModel.template(try String(contentsOfFile: path, encoding: .utf8))
        let results = try #require(golden.results[URL(filePath: path).lastPathComponent])
        #expect(results.count > 10)
        for (conversation, expected) in results {
            let prompt = try? state.render(golden.chat(conversation), enqueued: 0).segments.map(\.text).joined()
            // Some templates lose a system message where the last turn is an assistant's: then it is refused.
            let words = golden.conversations[conversation]!.flatMap {
                $0["content"]!.split(whereSeparator: \.isWhitespace)
            }
            if let expected, words.allSatisfy({ expected.contains($0) }) {
                #expect(prompt == expected, "\(conversation)")
            } else if let prompt {
                // transformers wants a message verbatim; here it may be laid out anew, as long as it is all there.
                #expect(words.allSatisfy { prompt.contains($0) } && prompt.hasSuffix(words.last!), "\(conversation)")
            }
        }
    }

    @Test func whatTheTemplateDropsCannotBeContinued() throws {
        let golden = try Golden.load()
        let state = TinyModel.template(
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}")
        let error = #expect(throws: UnusedTexts.self) { try state.render(golden.chat("turns"), enqueued: 0) }
        #expect(error?.texts.map(\.path) == ["messages[1] (assistant)", "messages[3] (assistant)"])
    }
}
