// Files and batches over HTTP, as OpenAI's clients use them.

import Foundation
import TestSupport
import Testing

@Suite("Files and batches over HTTP")
struct FilesAndBatchesTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    // MARK: - What clients do

    private func upload(_ server: TestServer, _ body: String, _ headers: [String] = []) throws -> RawAnswer {
        try server.post("/v1/files", body, ["Content-Type: multipart/form-data; boundary=b"] + headers)
    }

    private func uploaded(_ server: TestServer, _ lines: [String], _ headers: [String] = []) throws -> String {
        let answer = try upload(server, batchForm(lines.joined(separator: "\n")), headers)
        #expect(answer.status == 200, "\(answer.body)")
        return try #require(jsonObject(answer.body)["id"] as? String)
    }

    private static func request(
        _ file: String, endpoint: String = "/v1/completions", window: String = "24h", more: String = ""
    ) -> String {
        #"{"input_file_id":"\#(file)","endpoint":"\#(endpoint)","completion_window":"\#(window)"\#(more)}"#
    }

    private func batch(_ server: TestServer, _ id: String, _ headers: [String] = []) throws -> [String: Any] {
        try jsonObject(server.request("GET", "/v1/batches/\(id)", headers).body)
    }

    private func ended(_ server: TestServer, _ id: String, _ headers: [String] = []) throws -> [String: Any] {
        try eventually("the end of \(id)") {
            let status = try batch(server, id, headers)["status"] as? String ?? ""
            return ["completed", "failed", "expired", "cancelled"].contains(status)
        }
        return try batch(server, id, headers)
    }

    private func made(_ server: TestServer, _ request: String, _ headers: [String] = []) throws -> String {
        let answer = try server.post("/v1/batches", request, headers)
        #expect(answer.status == 200, "\(answer.body)")
        return try #require(jsonObject(answer.body)["id"] as? String)
    }

    private static func lines(_ count: Int, model: String? = nil) throws -> [String] {
        try (1...count).map { number in
            var body: [String: Any] = ["prompt": "the king \(number)", "max_tokens": 4, "seed": number]
            body["model"] = model
            return try requestLine("c\(number)", body)
        }
    }

    // MARK: - Tests

    /// The results are those of the command line for the same lines.
    @Test func aBatchGoesFromItsFileToItsResults() throws {
        let lines = try Self.lines(6, model: "tiny-f16")
        let expected = try workspace.results(
            (1...6).map { ("c\($0)", ["prompt": "the king \($0)", "max_tokens": 4, "seed": $0]) })
        let server = try TestServer(workspace)
        let file = try uploaded(server, lines)
        let object = try jsonObject(server.request("GET", "/v1/files/\(file)").body)
        #expect(object["filename"] as? String == "in.jsonl" && object["purpose"] as? String == "batch")
        #expect(object["bytes"] as? Int == lines.joined(separator: "\n").utf8.count)
        let content = try server.request("GET", "/v1/files/\(file)/content")
        #expect(content.body == lines.joined(separator: "\n"))
        #expect(try server.request("GET", "/v1/files/\(file)/content", ["Range: bytes=-5"]).body.utf8.count == 5)

        let id = try made(server, Self.request(file, more: #","metadata":{"night":"1"}"#))
        let done = try ended(server, id)
        #expect(done["status"] as? String == "completed" && done["input_file_id"] as? String == file)
        #expect((done["request_counts"] as? [String: Int]) == ["total": 6, "completed": 6, "failed": 0])
        #expect((done["metadata"] as? [String: String]) == ["night": "1"] && done["error_file_id"] is NSNull)
        let output = try #require(done["output_file_id"] as? String)
        let results = try server.request("GET", "/v1/files/\(output)/content")
        #expect(results.headers["x-incomplete"] == "false" && results.headers["x-last-line"] == "6")
        let byID = try ResultLine.byID(results.body.split(separator: "\n").map(String.init))
        #expect(byID.count == 6)
        for (id, result) in byID { #expect(result.text == expected[id]?.text, "\(id)") }
        // Lines, and bytes, from anywhere.
        let rest = try server.request("GET", "/v1/files/\(output)/content?offset=4").body
        #expect(results.body.hasSuffix(rest) && rest.split(separator: "\n").count == 2)
        #expect(try server.request("GET", "/v1/files/\(output)/content?offset=6").body.isEmpty)
        let bytes = Array(results.body.utf8)
        for range in [(0, 9), (100, 700), (bytes.count - 3, bytes.count - 1)] {
            let part = try server.request(
                "GET", "/v1/files/\(output)/content", ["Range: bytes=\(range.0)-\(range.1)"])
            #expect(part.status == 206 && part.body == String(decoding: bytes[range.0...range.1], as: UTF8.self))
            #expect(part.headers["content-range"] == "bytes \(range.0)-\(range.1)/\(bytes.count)")
        }
        // The command line sees the same batch.
        let shown = try jsonObject(workspace.run("show", id, "--json").output)
        #expect(shown["output_file_id"] as? String == output && shown["input_file_id"] as? String == file)
        #expect(try workspace.run("results", id).lines.count == 6)
        // A deleted file is gone, and the results are not.
        #expect(try server.request("DELETE", "/v1/files/\(output)").status == 200)
        #expect(try server.request("GET", "/v1/files/\(output)/content").status == 404)
        #expect(try batch(server, id)["output_file_id"] is NSNull)
        #expect(try server.request("DELETE", "/v1/files/\(file)").status == 200)
        #expect(try server.request("GET", "/v1/files/\(file)").status == 404)
        #expect(try server.request("DELETE", "/v1/batches/\(id)").status == 200)
        #expect(try server.request("GET", "/v1/batches/\(id)").status == 404)
        try server.stop()
    }

    /// What is gone while somebody asks for it is not there, and no answer is shorter than it says.
    @Test func contentsThatAreGoneAreNoHalfAnswer() throws {
        let server = try TestServer(workspace, ["server.idle_timeout_s=1000"])
        let lines = try Self.lines(6)
        let file = try uploaded(server, lines)
        let contents = workspace.path("queue.db-files/\(file)")
        #expect(truncate(contents, 10) == 0)
        for headers in ["", "Range: bytes=0-99\r\n"] {
            let connection = try server.connect()
            let request = "GET /v1/files/\(file)/content HTTP/1.1\r\nHost: a\r\n\(headers)\r\n"
            // A second answer would be taken for the rest of the first.
            connection.send(request + "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            try connection.waitForEnd()
        }
        #expect(unlink(contents) == 0)
        let gone = try server.request("GET", "/v1/files/\(file)/content")
        #expect(gone.status == 404 && gone.error?["param"] as? String == "file_id", "\(gone.body)")
        try server.stop()
    }

    /// Errors of lines are told in the batch, as OpenAI does it, and nothing runs.
    @Test func aBadFileFailsItsBatch() throws {
        let server = try TestServer(workspace)
        func errors(_ lines: [String], endpoint: String = "/v1/completions") throws -> [[String: Any]] {
            let done = try ended(
                server, try made(server, Self.request(try uploaded(server, lines), endpoint: endpoint)))
            #expect(done["status"] as? String == "failed" && done["failed_at"] is Int)
            #expect(done["output_file_id"] is NSNull && done["error_file_id"] is NSNull)
            let list = try #require(done["errors"] as? [String: Any])
            #expect(list["object"] as? String == "list")
            let text = String(describing: list)
            #expect(!text.contains(workspace.directory.path) && !text.contains("--"), "\(text)")
            return try #require(list["data"] as? [[String: Any]])
        }
        let good = try Self.lines(2)
        let several = try errors([good[0], "{", good[0], try requestLine("x", ["prompt": "a", "temperature": 9])])
        #expect(several.map { $0["line"] as? Int } == [2, 3, 4])
        #expect(
            several.map { $0["code"] as? String } == ["invalid_json_line", "duplicate_custom_id", "invalid_value"])
        #expect(several[2]["param"] as? String == "body.temperature")
        let chat = try errors(good, endpoint: "/v1/chat/completions")
        #expect(chat.map { $0["code"] as? String } == ["url_mismatch", "url_mismatch"])
        for model in ["/etc/passwd", "gpt-4o", "../x.gguf", "org/model"] {
            let unknown = try errors([try requestLine("x", ["prompt": "a", "model": model])])
            #expect(unknown.first?["code"] as? String == "model_not_found", "\(unknown)")
        }
        #expect(try errors(["a,b", "1,2"]).first?["code"] as? String == "invalid_file")
        #expect(try errors(["", " "]).first?["code"] as? String == "empty_file")
        let long = try errors([try requestLine("x", ["prompt": String(repeating: "ab ", count: 400)])])
        #expect(long.first?["code"] as? String == "context_length_exceeded")
        #expect(try jsonObject(workspace.run("status", "--json").output)["pending_jobs"] as? Int == 0)
        try server.stop()
    }

    @Test func badRequestsAreRefused() throws {
        let server = try TestServer(workspace)
        func expect(_ answer: RawAnswer, _ status: Int, _ words: String, _ location: SourceLocation = #_sourceLocation)
        {
            let message = answer.error?["message"] as? String ?? answer.body
            #expect(answer.status == status && message.contains(words), "\(answer)", sourceLocation: location)
        }
        let line = try Self.lines(1)[0]
        expect(try server.post("/v1/files", "x", ["Content-Type: text/plain"]), 400, "multipart/form-data")
        expect(try upload(server, "nothing"), 400, "boundary")
        expect(try upload(server, String(batchForm(line).dropLast(10))), 400, "closing boundary")
        expect(try upload(server, batchForm(line, purpose: nil)), 400, "purpose is missing")
        expect(try upload(server, batchForm(line, purpose: "fine-tune")), 400, "no purpose of files here")
        expect(try upload(server, batchForm(line, filename: "in.txt")), 400, ".jsonl")
        expect(try upload(server, batchForm("")), 400, "empty")
        // A name is a text.
        let named = try upload(server, batchForm(line, filename: "../../etc/pass\u{1B}wd.jsonl"))
        #expect(try jsonObject(named.body)["filename"] as? String == "passwd.jsonl")
        let file = try #require(jsonObject(named.body)["id"] as? String)

        expect(try server.post("/v1/batches", "[]"), 400, "no JSON object")
        expect(try server.post("/v1/batches", Self.request("file-1")), 404, "no uploaded file")
        expect(try server.post("/v1/batches", Self.request(file, endpoint: "/v1/embeddings")), 400, "not supported")
        expect(try server.post("/v1/batches", Self.request(file, window: "soon")), 400, "24h")
        expect(try server.post("/v1/batches", Self.request(file, more: #","priority":1"#)), 400, "no field")
        expect(try server.post("/v1/batches", Self.request(file, more: #","metadata":{"a":1}"#)), 400, "string")
        for path in ["/v1/batches/batch_99", "/v1/batches/99", "/v1/batches/..%2f", "/v1/files/x/content"] {
            #expect(try server.request("GET", path).status == 404, "\(path)")
        }
        expect(try server.request("GET", "/v1/files?limit=0"), 400, "1 to 10000")
        expect(try server.request("GET", "/v1/batches?limit=101"), 400, "1 to 100")
        let outside = try server.request("GET", "/v1/files/\(file)/content", ["Range: bytes=9999-"])
        expect(outside, 416, "outside")
        #expect(outside.headers["content-range"] == "bytes */\(line.utf8.count)")
        let small = try TestServer(Workspace(), ["server.upload_limit_mb=1"])
        let body = batchForm(String(repeating: line + "\n", count: 20_000))
        expect(try upload(small, body), 413, "1 MiB")
        try small.stop()
        // Nothing of what was refused is left.
        let names = try FileManager.default.contentsOfDirectory(atPath: workspace.path("queue.db-files"))
        #expect(names == [file])
        try server.stop()
    }

    @Test func listsArePaged() throws {
        let server = try TestServer(workspace)
        let lines = try Self.lines(1)
        let files = try (0..<5).map { _ in try uploaded(server, lines) }
        let batches = try files.prefix(3).map { try made(server, Self.request($0)) }
        for id in batches { _ = try ended(server, id) }
        func all(_ path: String) throws -> [String] {
            var ids: [String] = []
            while true {
                let after = ids.last.map { "&after=\($0)" } ?? ""
                let page = try jsonObject(server.request("GET", "\(path)&limit=2\(after)").body)
                let data = try #require(page["data"] as? [[String: Any]])
                ids += data.compactMap { $0["id"] as? String }
                #expect(page["last_id"] as? String == ids.last && data.count <= 2)
                if page["has_more"] as? Bool == false { return ids }
            }
        }
        #expect(try all("/v1/batches?") == batches.reversed())
        #expect(try Set(all("/v1/files?purpose=batch")) == Set(files))
        let outputs = try batches.map { try #require(batch(server, $0)["output_file_id"] as? String) }
        #expect(try Set(all("/v1/files?purpose=batch_output")) == Set(outputs))
        let everything = try all("/v1/files?order=asc")
        #expect(try everything.count == 8 && everything == all("/v1/files?order=desc").reversed())
        // Batches of the command line are there too, without their folders.
        let path = try workspace.write("own.jsonl", lines: lines + ["{"])
        #expect(try workspace.run("enqueue", "--skip-invalid", path).status == 0)
        let first = try #require(
            (jsonObject(server.request("GET", "/v1/batches?limit=1").body)["data"] as? [[String: Any]])?.first)
        #expect(first["input_file_id"] as? String == "own.jsonl")
        let own = try ended(server, try #require(first["id"] as? String))
        let errors = try server.request("GET", "/v1/files/\(try #require(own["error_file_id"] as? String))/content")
            .body
        #expect(errors.contains("own.jsonl:2:"), "\(errors)")
        #expect(!(String(describing: [first, own]) + errors).contains(workspace.directory.path))
        try server.stop()
    }

    @Test func aKeyOfTheClientMakesOneBatch() throws {
        let server = try TestServer(workspace)
        let file = try uploaded(server, try Self.lines(2))
        let key = ["Idempotency-Key: night-17"]
        let id = try made(server, Self.request(file), key)
        #expect(try made(server, Self.request(file), key) == id)
        let other = try server.post("/v1/batches", Self.request(file, window: "48h"), key)
        #expect(other.status == 409 && other.code == "idempotency_key_reused")
        #expect(try made(server, Self.request(file), ["Idempotency-Key: night-18"]) != id)
        try server.stop()
    }

    /// Cancel keeps what has ended; retry makes a new batch of the rest.
    @Test func cancelAndRetry() throws {
        let server = try TestServer(workspace, ["engine.max_num_seqs=1", "server.online_slots=1"])
        let body: [String: Any] = ["prompt": "the king", "max_tokens": 200, "ignore_eos": true]
        let lines = try (1...2000).map { try requestLine("c\($0)", body) }
        let id = try made(server, Self.request(try uploaded(server, lines)))
        try eventually("a result") { try batch(server, id)["output_file_id"] is String }
        #expect(try batch(server, id)["status"] as? String == "in_progress")
        let output = try #require(batch(server, id)["output_file_id"] as? String)
        #expect(try server.request("GET", "/v1/files/\(output)/content").headers["x-incomplete"] == "true")
        #expect(try server.request("DELETE", "/v1/batches/\(id)").status == 409)
        #expect(try server.request("POST", "/v1/batches/\(id)/cancel", body: "").status == 200)
        let done = try ended(server, id)
        #expect(done["status"] as? String == "cancelled" && done["error_file_id"] is String)
        let again = try server.request("POST", "/v1/batches/\(id)/cancel", body: "")
        #expect(again.status == 409 && again.headers["x-should-retry"] == "false", "\(again)")
        #expect(try server.request("POST", "/v1/batches/\(id)/retry", body: "").status == 409)
        try server.stop()
    }

    /// What was submitted is validated by the next server, if this one dies before.
    @Test func aSubmissionOutlivesItsServer() throws {
        let first = try TestServer(workspace)
        let lines = try Self.lines(3000)
        let file = try uploaded(first, lines)
        // The key makes it safe to ask again.
        let id = try made(first, Self.request(file), ["Idempotency-Key: k"])
        first.daemon.send(SIGKILL)
        _ = try first.daemon.waitForEnd()
        let second = try TestServer(workspace)
        #expect(try made(second, Self.request(file), ["Idempotency-Key: k"]) == id)
        let done = try ended(second, id)
        #expect((done["request_counts"] as? [String: Int])?["completed"] == 3000, "\(done)")
        try second.stop()
    }

    /// A second daemon by mistake deletes nothing that the first one is still receiving.
    @Test func aSecondDaemonTouchesNoUpload() throws {
        let server = try TestServer(workspace)
        let names = [".upload-file-" + String(repeating: "a", count: 32), "file-" + String(repeating: "b", count: 32)]
        for name in names { _ = try workspace.write("queue.db-files/" + name, "being received") }
        let second = try workspace.run("daemon", "--set", "server.listen=unix:\(workspace.path("t"))")
        #expect(second.status == 8 && second.errors.contains("already owns"), "\(second.errors)")
        let left = try FileManager.default.contentsOfDirectory(atPath: workspace.path("queue.db-files"))
        #expect(left.sorted() == names)
        #expect(try server.request("GET", "/v1/models").status == 200)
        try server.stop()
        // The next one does, since nobody receives them any more.
        let next = try TestServer(workspace)
        #expect(try FileManager.default.contentsOfDirectory(atPath: workspace.path("queue.db-files")) == [])
        try next.stop()
    }

    @Test func tenantsSeeTheirOwn() throws {
        let server = try TestServer(workspace)
        func key(_ name: String, _ scope: String) throws -> [String] {
            let text = try workspace.run("keys", "add", name, "--scope", scope).output
            return ["Authorization: Bearer " + text.trimmingCharacters(in: .newlines)]
        }
        let (ann, bob, boss) = (try key("ann", "submit"), try key("bob", "submit"), try key("boss", "admin"))
        try eventually("keys to count") { try server.request("GET", "/v1/batches").status == 401 }
        let file = try uploaded(server, try Self.lines(1), ann)
        #expect(try server.post("/v1/batches", Self.request(file), bob).status == 404)
        let id = try made(server, Self.request(file), ann)
        let output = try #require(ended(server, id, ann)["output_file_id"] as? String)
        for path in [
            "/v1/batches/\(id)", "/v1/files/\(file)", "/v1/files/\(file)/content", "/v1/files/\(output)/content",
        ] {
            #expect(try server.request("GET", path, bob).status == 404, "\(path)")
            #expect(try server.request("GET", path, ann).status == 200, "\(path)")
            #expect(try server.request("GET", path, boss).status == 200, "\(path)")
        }
        #expect(try server.request("POST", "/v1/batches/\(id)/cancel", bob, body: "").status == 404)
        #expect(try server.request("DELETE", "/v1/files/\(file)", bob).status == 404)
        for path in ["/v1/batches", "/v1/files"] {
            #expect(try (jsonObject(server.request("GET", path, bob).body)["data"] as? [Any])?.count == 0)
            #expect(try (jsonObject(server.request("GET", path, ann).body)["data"] as? [Any])?.isEmpty == false)
        }
        try server.stop()
    }
}
