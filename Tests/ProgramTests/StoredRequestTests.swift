// Online requests with `store: true`, which are batches of one job.

import Foundation
import TestSupport
import Testing

@Suite("Online requests that are kept")
struct StoredRequestTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private static var request: [String: Any] { ["prompt": "the king", "max_tokens": 20, "seed": 7] }

    /// The body of the request, in several lines.
    private static func body(_ more: [String: Any] = [:]) throws -> String {
        let object = request.merging(["store": true]) { $1 }.merging(more) { $1 }
        let data = try JSONSerialization.data(withJSONObject: object, options: .prettyPrinted)
        return String(decoding: data, as: UTF8.self)
    }

    private func batches(_ server: TestServer, _ headers: [String] = []) throws -> [[String: Any]] {
        let answer = try server.request("GET", "/v1/batches", headers)
        return try #require(jsonObject(answer.body)["data"] as? [[String: Any]])
    }

    @Test func areAnsweredAndListed() throws {
        let expected = try workspace.results([("a", Self.request)])["a"]?.text
        let server = try TestServer(workspace)
        let answer = try server.post("/v1/completions", Self.body())
        let choices = try jsonObject(answer.body)["choices"] as? [[String: Any]]
        #expect(answer.status == 200 && choices?.first?["text"] as? String == expected, "\(answer)")
        let batch = try #require(answer.headers["x-ttbatch-batch"])
        let kept = try ResultLine.byID(try workspace.run("results", batch).lines)
        #expect(kept["request"]?.text == expected)
        let chat =
            #"{"messages":[{"role":"user","content":"hi"}],"max_tokens":3,"store":true,"chat_template":"{{ messages[0].content }}"}"#
        let other = try server.post("/v1/chat/completions", chat)
        #expect(try other.status == 200 && jsonObject(other.body)["object"] as? String == "chat.completion", "\(other)")
        #expect(other.headers["x-ttbatch-batch"] != batch)
        // What cannot run is not kept.
        let refusals = [(["stream": true], "stream"), (["temperature": 9], "temperature"), (["store": 1], "store")]
        for (more, param) in refusals as [([String: Any], String)] {
            let refused = try server.post("/v1/completions", Self.body(more))
            #expect(
                refused.status == 400 && (refused.error?["param"] as? String)?.hasSuffix(param) == true, "\(refused)")
        }
        #expect(try batches(server).count == 2)
        try server.stop()
    }

    /// They run on the model that they were checked against, which a batch may have brought in.
    @Test func runOnTheLoadedModel() throws {
        let server = try TestServer(workspace)
        let other = try workspace.model(contextLength: 128)
        let file = try workspace.write("other.jsonl", #"{"prompt": "the king", "max_tokens": 3}"#)
        #expect(try workspace.run("enqueue", file, model: other).status == 0)
        #expect(try workspace.run("wait", "batch_1").status == 0)
        let loaded = try jsonObject(server.request("GET", "/v1/models").body)["data"] as? [[String: Any]]
        let name = try #require(loaded?.first?["id"] as? String)
        #expect(other.hasSuffix("/\(name).gguf"))
        for asked in [[:], ["model": name]] {
            let answer = try server.post("/v1/completions", Self.body(asked))
            #expect(try answer.status == 200 && jsonObject(answer.body)["model"] as? String == name, "\(answer)")
            let shown = try workspace.run("show", try #require(answer.headers["x-ttbatch-batch"]))
            #expect(shown.output.contains(name), "\(shown)")
        }
        try server.stop()
    }

    /// They run whatever becomes of the caller, and of the server.
    @Test func runToTheirEnd() throws {
        let expected = try workspace.results([("a", Self.request)])["a"]?.text
        let first = try TestServer(workspace)
        #expect(try workspace.run("pause").status == 0)
        let waiting = try first.connect()
        let body = try Self.body()
        waiting.send(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        try eventually("the request to be kept") { try batches(first).count == 1 }
        do {
            let leaving = try first.connect()
            leaving.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            try eventually("the other request to be kept") { try batches(first).count == 2 }
        }
        first.daemon.send(SIGTERM)
        let answer = try waiting.answer()
        #expect(answer.status == 503 && answer.error.map { "\($0)".contains("batch_") } == true, "\(answer)")
        #expect(try first.daemon.waitForEnd().status == 0)
        #expect(try workspace.run("resume").status == 0)
        let second = try TestServer(workspace)
        try eventually("their end") { try batches(second).allSatisfy { $0["status"] as? String == "completed" } }
        for batch in try batches(second) {
            let lines = try workspace.run("results", try #require(batch["id"] as? String)).lines
            #expect(try ResultLine.byID(lines)["request"]?.text == expected)
        }
        try second.stop()
    }

    @Test func areTheTenants() throws {
        let server = try TestServer(workspace)
        func key(_ name: String) throws -> [String] {
            let text = try workspace.run("keys", "add", name, "--scope", "submit").output
            return ["Authorization: Bearer " + text.trimmingCharacters(in: .newlines)]
        }
        let (ann, bob) = (try key("ann"), try key("bob"))
        try eventually("keys to count") { try server.request("GET", "/v1/batches").status == 401 }
        #expect(try server.post("/v1/completions", Self.body(), ann).status == 200)
        #expect(try batches(server, ann).count == 1 && batches(server, bob).isEmpty)
        try server.stop()
    }
}
