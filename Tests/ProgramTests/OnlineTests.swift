// Requests over HTTP, as curl makes them: answers, streams, errors, and a daemon that stops.

import Foundation
import TestSupport
import Testing

@Suite("Online requests")
struct OnlineTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private var socket: String { workspace.path("s") }

    /// A daemon that listens, with its model loaded.
    private func daemon(_ settings: String...) throws -> RunningProgram {
        let daemon = try workspace.start(
            ["daemon", "--set", "server.listen=unix:\(socket)"] + settings.flatMap { ["--set", $0] })
        for _ in 0..<600 where try curl("/ready").status != 200 { Thread.sleep(forTimeInterval: 0.05) }
        #expect(try curl("/ready").status == 200, "\(daemon.errorsSoFar)")
        return daemon
    }

    private struct Answer {
        let status: Int
        let body: String

        var json: [String: Any] { (try? jsonObject(body)) ?? [:] }
        var text: String? { (json["choices"] as? [[String: Any]])?.first?["text"] as? String }
        var error: [String: Any]? { json["error"] as? [String: Any] }
        /// The chunks of a stream, and whether it ended as streams do.
        var chunks: [[String: Any]] {
            body.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: {") }
                .compactMap { try? jsonObject(String($0.dropFirst(6))) }
        }
    }

    private func start(_ path: String, _ body: [String: Any]? = nil, _ options: [String] = []) throws -> RunningProgram
    {
        var words = ["-sN", "--unix-socket", socket, "-w", "\n%{http_code}"] + options
        if let body {
            let data = try JSONSerialization.data(withJSONObject: body)
            words += ["-H", "content-type: application/json", "--data-binary", String(decoding: data, as: UTF8.self)]
        }
        return try RunningProgram(
            words + ["http://localhost" + path], program: "curl", environment: ["PATH": "/usr/bin:/bin"],
            in: workspace.directory)
    }

    private func end(_ curl: RunningProgram) throws -> Answer {
        let output = try curl.waitForEnd().output
        let status = output.split(separator: "\n", omittingEmptySubsequences: false).last.flatMap { Int($0) } ?? 0
        return Answer(status: status, body: String(output.dropLast(4)))
    }

    private func curl(_ path: String, _ body: [String: Any]? = nil, _ options: [String] = []) throws -> Answer {
        try end(start(path, body, options))
    }

    private static var request: [String: Any] { ["prompt": "the king", "max_tokens": 20, "seed": 7] }

    /// The answer is that of a batch, whole or in pieces.
    @Test func answersAreThoseOfBatches() throws {
        let expected = try workspace.results([("a", Self.request)])["a"]
        let daemon = try daemon()
        let models = try curl("/v1/models").json["data"] as? [[String: Any]]
        let name = try #require(models?.first?["id"] as? String)
        #expect(name == "tiny-f16")
        #expect(try curl("/v1/models/\(name)").status == 200)
        let whole = try curl("/v1/completions", Self.request.merging(["model": name]) { $1 })
        #expect(whole.status == 200 && whole.text == expected?.text)
        let streamed = try curl(
            "/v1/completions",
            Self.request.merging(["stream": true, "stream_options": ["include_usage": true]]) { $1 })
        let chunks = streamed.chunks
        let pieces = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first?["text"] as? String }
        #expect(pieces.joined() == expected?.text && pieces.count > 2)
        #expect(streamed.body.hasSuffix("data: [DONE]\n\n"))
        #expect((chunks.last?["usage"] as? [String: Any])?["completion_tokens"] as? Int == 20)
        #expect(chunks.dropLast().allSatisfy { $0["usage"] is NSNull })
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test func chatsAreAnsweredWithTheirParts() throws {
        let daemon = try daemon()
        let body: [String: Any] = [
            "messages": [["role": "user", "content": "hi"]], "max_tokens": 40,
            "tools": [["type": "function", "function": ["name": "f"]]],
            "tool_choice": "required", "chat_template": "{{ tools }}{{ messages[0].content }}",
            "parallel_tool_calls": false,
        ]
        let whole = try curl("/v1/chat/completions", body)
        let choice = try #require((whole.json["choices"] as? [[String: Any]])?.first)
        let calls = (choice["message"] as? [String: Any])?["tool_calls"] as? [[String: Any]]
        #expect(calls?.count == 1 && choice["finish_reason"] as? String == "tool_calls", "\(whole.body)")
        let chunks = try curl("/v1/chat/completions", body.merging(["stream": true]) { $1 }).chunks
        let choices = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first }
        let deltas = choices.compactMap { $0["delta"] as? [String: Any] }
        #expect(deltas.first?["role"] as? String == "assistant")
        #expect(deltas.contains { ($0["tool_calls"] as? [[String: Any]])?.count == 1 })
        #expect(choices.last?["finish_reason"] as? String == "tool_calls")
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test func errorsAreOpenAIs() throws {
        let daemon = try daemon("server.online_limit=1")
        func expect(_ answer: Answer, _ status: Int, _ code: String?, _ words: String) {
            #expect(answer.status == status && answer.error?["code"] as? String == code, "\(answer.body)")
            #expect((answer.error?["message"] as? String)?.contains(words) == true, "\(answer.body)")
            #expect(Set(answer.error.map { Array($0.keys) } ?? []) == ["message", "type", "param", "code"])
            #expect(!answer.body.contains(workspace.directory.path))
        }
        let unknown = try curl("/v1/completions", ["prompt": "a", "temprature": 1])
        expect(unknown, 400, "unknown_field", "did you mean temperature?")
        #expect(unknown.error?["param"] as? String == "temprature")
        expect(
            try curl("/v1/completions", ["prompt": "a", "model": "/etc/passwd"]), 404, "model_not_found", "not served")
        expect(try curl("/v1/models/none"), 404, "model_not_found", "not served")
        expect(try curl("/v1/none"), 404, nil, "no such path")
        expect(try curl("/v1/completions", nil, ["--data-binary", "{"]), 400, "invalid_json", "column 2")
        let large = try workspace.write("large.json", String(repeating: " ", count: 17 << 20))
        expect(try curl("/v1/completions", nil, ["--data-binary", "@\(large)"]), 413, nil, "too large")
        let header = "x: " + String(repeating: "y", count: 20_000)
        #expect([400, 431].contains(try curl("/v1/models", nil, ["-H", header]).status))
        let long = String(repeating: "ab ", count: 400)
        expect(try curl("/v1/completions", ["prompt": long]), 400, "context_length_exceeded", "801 tokens")
        let first = try start("/v1/completions", ["prompt": "the king", "max_tokens": 200, "stream": true])
        while !first.outputSoFar.contains("data:") { Thread.sleep(forTimeInterval: 0.01) }
        let busy = try curl("/v1/completions", ["prompt": "a"], ["-i"])
        if first.isRunning || busy.status == 429 {
            #expect(busy.status == 429 && busy.body.lowercased().contains("retry-after: 1"), "\(busy.body)")
        }
        _ = try end(first)
        // Whoever leaves makes room.
        let left = try start("/v1/completions", ["prompt": "the king", "max_tokens": 200, "stream": true])
        while !left.outputSoFar.contains("data:") { Thread.sleep(forTimeInterval: 0.01) }
        left.send(SIGKILL)
        for _ in 0..<200 where try curl("/v1/completions", ["prompt": "a", "max_tokens": 1]).status != 200 {
            Thread.sleep(forTimeInterval: 0.02)
        }
        #expect(try curl("/v1/completions", ["prompt": "a", "max_tokens": 1]).status == 200)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// Evaluation programs cut texts with the server's tokenizer.
    @Test func theTokenizerIsServed() throws {
        let daemon = try daemon()
        let text = "the king\n<|im_start|>x"
        let tokenized = try curl("/tokenize", ["prompt": text, "add_special_tokens": false, "return_token_strs": true])
        let tokens = try #require(tokenized.json["tokens"] as? [Int], "\(tokenized.body)")
        #expect(tokenized.json["count"] as? Int == tokens.count && tokenized.json["max_model_len"] as? Int == 256)
        #expect((tokenized.json["token_strs"] as? [String])?.joined() == text)
        #expect(try curl("/detokenize", ["tokens": tokens]).json["prompt"] as? String == text)
        let chat = try curl("/tokenize", ["messages": [["role": "user", "content": "hi"]]]).json["tokens"] as? [Int]
        let rendered = try curl("/detokenize", ["tokens": chat ?? []]).json["prompt"] as? String
        #expect(rendered == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
        let info = try curl("/tokenizer_info").json
        #expect((info["chat_template"] as? String)?.contains("im_start") == true && info["eos_token"] is String)
        #expect(try curl("/detokenize", ["tokens": [1_000_000]]).error?["param"] as? String == "tokens")
        #expect(try curl("/tokenize", ["prompt": 7]).status == 400)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// A batch runs beside them, and its results are those of a night without callers.
    @Test func batchesGoOnBesideThem() throws {
        let requests = (0..<40).map { number -> (String, [String: Any]) in
            ("j\(number)", ["prompt": "the king and the queen \(number)", "max_tokens": 30, "seed": number])
        }
        let expected = try workspace.results(requests)
        let daemon = try daemon("engine.max_num_seqs=4", "server.online_slots=2", "server.prefill_tokens=16")
        let file = try workspace.write("b.jsonl", lines: requests.map { try requestLine($0, $1) })
        #expect(try workspace.run("enqueue", file).status == 0)
        let alone = try curl("/v1/completions", Self.request).text
        for _ in 0..<20 { #expect(try curl("/v1/completions", Self.request).text == alone) }
        #expect(try workspace.run("wait", "1").status == 0)
        let results = try ResultLine.byID(workspace.run("results", "1").lines)
        for (id, result) in results { #expect(result.text == expected[id]?.text, "\(id)") }
        #expect(results.count == 40)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test(arguments: ["0.0.0.0:8080", "192.168.1.2:80", "8080", "unix:relative", "localhost:99999", "example.org:80"])
    func onlyThisMachineMayBeListenedOn(address: String) throws {
        let outcome = try workspace.run("daemon", "--set", "server.listen=\(address)")
        #expect(outcome.status == 2 && outcome.errors.contains("listen"), "\(outcome.errors)")
    }
}
