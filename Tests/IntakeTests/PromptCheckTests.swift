// Errors of a prompt that only the model's file shows are reported with the prompt's line, and nothing is stored.

import FakeModel
import Foundation
import Platform
import QueueFixture
import TestSupport
import Testing

@testable import Intake

@Suite
struct PromptCheckTests {
    let fixture: QueueFixture

    init() throws { fixture = try QueueFixture() }

    /// Enqueues lines for a model; gives the errors without the file's name, and the report if something was stored.
    private func enqueue(
        _ lines: [String], model: String = "tiny", engine: EngineConfiguration = EngineConfiguration()
    ) throws -> (errors: [String], report: EnqueueReport?) {
        var options = Enqueuer.Options(defaultModel: model)
        options.engine = engine
        let path = try fixture.folder.write("f.jsonl", lines.joined(separator: "\n"))
        let enqueuer = Enqueuer(store: fixture.client, catalogue: fixture.catalogue, options: options)
        let errors = Reported()
        let report = try? enqueuer.enqueue(paths: [path]) { errors.all.append("\($0)") }[0]
        return (errors.all.map { $0.replacing(path + ":", with: "") }, report)
    }

    /// The tiny model with one string of its metadata replaced by another of the same length.
    private func model(_ name: String, replacing old: String, with new: String) throws -> String {
        var data = try Data(contentsOf: URL(filePath: TinyModel.path))
        data.replaceSubrange(try #require(data.range(of: Data(old.utf8))), with: Data(new.utf8))
        let path = fixture.folder.path + "/" + name
        try data.write(to: URL(filePath: path))
        return path
    }

    private func tokens(_ count: Int) -> String {
        "[" + Array(repeating: "5", count: count).joined(separator: ",") + "]"
    }

    private let chat = #"{"messages":[{"role":"user","content":"hi"}]}"#

    @Test func everythingThatTheModelRefusesIsToldInTheOrderOfTheFile() throws {
        let tool = #"{"type":"function","function":{"name":"w"}}"#
        let call =
            #"{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}"#
        let (errors, report) = try enqueue([
            #"{"prompt":\#(tokens(255))}"#, #"{"prompt":\#(tokens(256))}"#, #"{"prompt":[5,100000]}"#, "{}",
            #"{"prompt":"\#(String(repeating: "q", count: 500))"}"#, #"{"prompt":"a","stop_token_ids":[3,288]}"#, chat,
            #"{"messages":[{"role":"user","content":"\#(String(repeating: "q", count: 500))"}]}"#,
            #"{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"hi"},"#
                + #"\#(call)],"tools":[\#(tool)]}}"#,
        ])
        #expect(report == nil)
        let beginnings = [
            "2: prompt: the prompt has 256 tokens, but prompt and answer together may have 256: ",
            "3: prompt: token 100000 at index 1 of the prompt is not one of the model's 288 tokens", "4: ",
            "5: prompt: the prompt has ", "6: stop_token_ids: 288 is not one of the model's 288 tokens",
            "8: messages: the prompt has ",
            "9: body.messages[1].tool_calls[0] (f): the model's chat template does not use it; write it into ",
            "9: body.tools: the model's chat template does not use them; leave them out, set tool_choice to \"none\"",
        ]
        #expect(errors.count == beginnings.count)
        for (error, beginning) in zip(errors, beginnings) { #expect(error.hasPrefix(beginning), "\(error)") }
        #expect(!errors.contains { $0.contains("raise max_model_len") }, "the model's own length is the bound")
    }

    @Test func maxModelLenBoundsPromptsWhereItIsSet() throws {
        var engine = EngineConfiguration()
        engine.maxModelLen = 32
        #expect(try enqueue([#"{"prompt":\#(tokens(31))}"#], engine: engine).report?.jobs == 1)
        let errors = try enqueue([#"{"prompt":\#(tokens(32))}"#], engine: engine).errors
        #expect(errors.count == 1 && errors[0].hasSuffix("shorten the prompt to at most 31, or raise max_model_len"))
    }

    @Test func whatTheTemplateRaisesIsTold() throws {
        let path = try model("raising.gguf", replacing: "{% for", with: "{% fxr")
        // A template that does not parse cannot be used at all.
        let errors = try enqueue([#"{"prompt":"a"}"#, chat], model: path).errors
        #expect(errors.count == 1 && errors[0].hasPrefix("2: messages: \(path): "))
        #expect(errors[0].hasSuffix("send a prompt instead of messages"))
    }

    /// Groups of lines are checked one after another, and on several threads.
    @Test func errorsOfALongFileStayInOrder() throws {
        let bad = #"{"prompt":[288]}"#
        let lines = (1...5000).map { $0 % 1000 == 0 ? bad : $0 % 1500 == 0 ? "{" : #"{"prompt":"a"}"# }
        let numbers = try enqueue(lines).errors.map { Int($0.prefix { $0 != ":" }) }
        #expect(numbers == [1000, 1500, 2000, 3000, 4000, 4500, 5000])
    }

    /// The night would not get further than this.
    @Test func aModelWithoutAUsableTokenizerIsRefused() throws {
        let path = try model("other.gguf", replacing: "gpt2", with: "gptX")
        #expect(try enqueue([#"{"prompt":\#(tokens(5))}"#], model: path).report == nil)
    }

    /// No id of a request is beyond the model's tokens: it would be a place beyond the logits.
    @Test(arguments: [
        ("stop_token_ids", "[3,288]"), ("logit_bias", #"{"3":1,"288":-1}"#), ("allowed_token_ids", "[3,288]"),
        ("logprob_token_ids", "[3,288]"),
    ])
    func tokensThatTheModelDoesNotHaveAreTold(field: String, value: String) throws {
        let (errors, report) = try enqueue([#"{"prompt":"a","logprobs":1,"\#(field)":\#(value)}"#])
        let expected = "1: \(field): 288 is not one of the model's 288 tokens; use ids from 0 to 287"
        #expect(report == nil && errors == [expected])
    }
}
