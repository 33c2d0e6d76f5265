// Of a chat nothing is lost on its way into the prompt, or the chat is refused and what is lost is named: eighteen families of
// templates on every mixture of messages.

import FakeModel
import Foundation
import Jinja
import OpenAIFormats
import Runtime
import TestSupport
import Testing

@testable import Prompts

@Suite struct NothingLostTests {
    static let templates: [String] = {
        let folder = Locations.repository.appending(path: "Tests/JinjaTests/golden/templates").path
        return try! FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".jinja") }.sorted()
            .map { folder + "/" + $0 }
    }()

    @Test func thereAreEighteenFamilies() { #expect(Self.templates.count == 18) }

    @Test(arguments: templates)
    func nothingMissingGoesUnnoticedAndNothingPresentIsFlagged(path: String) throws {
        let source = try String(contentsOfFile: path, encoding: .utf8)
        let state = TinyModel.template(source)
        let reference = Reference(source: source)
        var taken = 0
        for mixture in ChatMixture.all {
            let chat = try mixture.chat
            do {
                let prompt = try state.render(chat, enqueued: 0).segments.map(\.text).joined()
                for (place, word) in mixture.words where !prompt.contains(word) {
                    Issue.record("\(mixture): \(place) is missing in\n\(prompt)")
                }
                taken += 1
            } catch let error as UnusedTexts {
                let rendered = try #require(reference.render(chat), "\(mixture): it can be rendered")
                let missing = Set(mixture.words.filter { !rendered.contains($0.value) }.keys)
                let told = Set(error.texts.map(\.path))
                #expect(told == Self.told(of: missing, mixture), "\(mixture) in\n\(rendered)")
            } catch {
                #expect(reference.render(chat) == nil, "\(mixture): \(error)")
            }
        }
        #expect(taken >= 10, "every template takes some conversations")
    }

    /// Switches and thoughts are used though they are not written; other text that is left out is reported.
    @Test(arguments: [
        ("smollm3", #"{"role":"system","content":"/no_think"},{"role":"user","content":"Hi"}"#),
        ("smollm3", #"{"role":"system","content":"Be terse. /think"},{"role":"user","content":"Hi"}"#),
        ("qwen3", #"{"role":"assistant","content":"<think>hm</think> "},{"role":"user","content":"Hi"}"#),
        ("qwen3", #"{"role":"assistant","content":"4","reasoning_content":"hm"},{"role":"user","content":" "}"#),
        ("smollm2", #"{"role":"user","content":""}"#),
    ])
    func whatATemplateIsMadeToLeaveOutIsNotFlagged(template: String, messages: String) throws {
        let path = try #require(Self.templates.first { $0.hasSuffix("/\(template).jinja") })
        let state = TinyModel.template(try String(contentsOfFile: path, encoding: .utf8))
        let body = Array(#"{"messages":[\#(messages)]}"#.utf8)
        guard case .chat(let chat) = try RequestBody.parse(body, endpoint: .chatCompletions).prompts[0] else {
            fatalError("a chat was read as something else")
        }
        #expect(throws: Never.self) { try state.render(chat, enqueued: 0) }
        let cutting = TinyModel.template("{% for m in messages %}{{ m.content[:2] }}{% endfor %}")
        let cut = try? cutting.render(chat, enqueued: 0)
        #expect((cut == nil) == messages.contains(#""system""#), "only system messages here are longer than that")
    }

    /// The reported places that are missing: a tool's or a call's parts belong to the whole.
    private static func told(of missing: Set<String>, _ mixture: ChatMixture) -> Set<String> {
        var told = missing.filter { place in
            if let part = place.range(of: ".function.") {
                let name = place[place.range(of: " (")!.lowerBound...]
                return !missing.contains(String(place[..<part.lowerBound] + name))
            }
            return true
        }
        let tools: Set = ["tools[0] (tool0name)", "tools[1] (tool1name)"]
        if mixture.hasTools, tools.isSubset(of: told) { told = told.subtracting(tools).union(["tools"]) }
        return told
    }
}

/// The template alone, without anything that looks after texts.
private struct Reference {
    let source: String

    /// The rendered chat, its calls in the standard form; nil where the template fails.
    func render(_ chat: RequestBody.Chat) -> String? {
        let knowsDeveloper = source.contains("'developer'") || source.contains("\"developer\"")
        let messages = chat.templateMessages().map { message -> JinjaValue in
            guard case .object(let members) = JinjaValue(message) else { return .null }
            return .object(
                members.map { key, value in
                    if key == "role", case .string("developer") = value, !knowsDeveloper { return (key, "system") }
                    return (key, value)
                })
        }
        var variables: [String: JinjaValue] = ["messages": .array(messages), "add_generation_prompt": true]
        variables["tools"] = chat.tools.map { JinjaValue($0) } ?? .null
        variables["documents"] = JinjaValue.null
        variables["bos_token"] = "<s>"
        variables["eos_token"] = "</s>"
        let environment = RenderEnvironment { WallClockTime(secondsSinceEpoch: 0) }
        return try? Template(source).render(variables, environment: environment)
    }
}
