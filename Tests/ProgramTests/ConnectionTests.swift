// The server's socket and its connections: where it listens, slow clients, many clients, and its end.

import Foundation
import TestSupport
import Testing

@Suite("Connections")
struct ConnectionTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private var socket: String { workspace.path("s") }

    private static func completion(_ tokens: Int, _ fields: String = "") -> String {
        #"{"prompt":"the king","max_tokens":\#(tokens),"ignore_eos":true\#(fields)}"#
    }

    // MARK: - The address

    @Test func aUnixSocketIsTheUsersAlone() throws {
        let server = try TestServer(workspace)
        let mode = try FileManager.default.attributesOfItem(atPath: socket)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        // Another server does not take it away.
        let other = try workspace.run(
            "daemon", "--db", workspace.path("other.db"), "--set", "server.listen=unix:\(socket)")
        #expect(other.status == 2 && other.errors.contains("listens on \(socket) already"), "\(other.errors)")
        #expect(try server.request("GET", "/health").status == 200)
        // What a dead one left is replaced.
        server.daemon.send(SIGKILL)
        _ = try server.daemon.waitForEnd()
        #expect(FileManager.default.fileExists(atPath: socket))
        let next = try TestServer(workspace)
        #expect(try next.request("GET", "/health").status == 200)
        try next.stop()
        #expect(!FileManager.default.fileExists(atPath: socket))
    }

    @Test func anAddressThatCannotBeHadIsAnErrorWithARemedy() throws {
        func refusal(_ address: String, _ options: String...) throws -> String {
            let outcome = try workspace.run(["daemon", "--drain", "--set", "server.listen=\(address)"] + options)
            #expect(outcome.status == 2 && outcome.errors.contains("server.listen: "), "\(outcome.errors)")
            return outcome.errors
        }
        let file = try workspace.write("file", "mine")
        #expect(try refusal("unix:\(file)").contains("no socket; choose another path"))
        #expect(try workspace.read("file") == "mine")
        #expect(try refusal("unix:\(workspace.path("none/s"))").contains("folder"))
        #expect(try refusal("0.0.0.0:0").contains("ttbatch keys add"))
        #expect(try refusal("127.evil.example:80").contains("ttbatch keys add"))
        #expect(try workspace.run("keys", "add", "a", "--scope", "admin").status == 0)
        #expect(try refusal("192.0.2.1:0").contains("no address of this machine"))
        #expect(try refusal("nowhere.invalid:80").contains("is no address"))
        let key = try workspace.run("keys", "add", "b", "--scope", "read").output.trimmingCharacters(in: .newlines)
        let server = try TestServer(workspace, at: "0.0.0.0:0", key: key)
        guard case .tcp(let port) = server.place else { throw WaitedInVain() }
        let taken = try refusal("127.0.0.1:\(port)", "--db", workspace.path("other.db"))
        #expect(taken.contains("port \(port) of 127.0.0.1 is in use"))
        // It stays closed when its last key is gone.
        for name in ["a", "b"] { #expect(try workspace.run("keys", "remove", name).status == 0) }
        try eventually("the key to end") {
            try server.request("GET", "/v1/models", ["X-Api-Key: \(key)"]).status == 401
        }
        #expect(try server.request("GET", "/v1/models", host: "127.0.0.1").status == 401)
        try server.stop()
    }

    // MARK: - Answers

    /// Of all paths without a body or an object.
    @Test func whatIsCalledJSONIsJSON() throws {
        let server = try TestServer(workspace)
        let verbs = ["queue/daemon", "queue/paused", "status", "metrics?incarnation=1", "names?name=n", "batches"]
        for path in ["/version", "/v1/models", "/v1/files", "/v1/batches", "/tokenizer_info", "/none"]
            + verbs.map({ "/ttbatch/v1/" + $0 })
        {
            let answer = try server.request("GET", path)
            #expect(answer.headers["content-type"] == "application/json", "\(path)")
            #expect(throws: Never.self, "\(path): \(answer.body)") {
                try JSONSerialization.jsonObject(with: Data(answer.body.utf8), options: .fragmentsAllowed)
            }
        }
        let version = try workspace.run("--version").output.trimmingCharacters(in: .newlines)
        let told = try jsonObject(server.request("GET", "/version").body)["version"] as? String
        #expect(version.hasSuffix(try #require(told)), "\(version)")
        try server.stop()
    }

    // MARK: - Slow clients

    @Test func slowClientsDoNotKeepTheServer() throws {
        let server = try TestServer(
            workspace, ["server.head_timeout_s=4", "server.stall_timeout_s=4", "server.idle_timeout_s=2"])
        // A head that never ends, with a byte now and then.
        let slow = try server.connect()
        slow.send("GET /health HTTP/1.1\r\n")
        try eventually("the end of a slow head") { !slow.send("x: y\r\n") }
        try server.connect().waitForEnd()
        // A body that stops.
        for (path, sent) in [
            ("/v1/completions", ""), ("/v1/completions", "{"), ("/v1/batches", "{"),
            ("/ttbatch/v1/batches?file=a", "{"),
        ] {
            let stalled = try server.connect()
            stalled.send("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n\(sent)")
            let answer = try stalled.answer()
            #expect(answer.status == 408 && answer.headers["connection"] == "close", "\(answer)")
            try stalled.waitForEnd()
        }
        // One that comes slowly, and a long answer, are waited for.
        let patient = try server.connect()
        let body = Self.completion(2)
        patient.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        for place in 0..<6 {
            Thread.sleep(forTimeInterval: 1)
            let rest = body.dropFirst(place * 5)
            patient.send(String(place < 5 ? rest.prefix(5) : rest))
        }
        #expect(try patient.answer().status == 200)
        try patient.waitForEnd()
        // Answers that nobody reads.
        let deaf = try server.connect()
        let requests = String(repeating: "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", count: 2000)
        try eventually("the end of a client that does not read") { deaf.sendSome(requests) == nil }
        #expect(try server.request("GET", "/health").status == 200)
        try server.stop()
    }

    @Test func aClientThatWaitsIsToldToGoOn() throws {
        let server = try TestServer(workspace)
        let body = Self.completion(2)
        func head(_ path: String) -> String {
            "POST \(path) HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        }
        let waiting = try server.connect()
        waiting.send(head("/v1/completions"))
        #expect(try waiting.answer(announcing: true).status == 100)
        waiting.send(body)
        #expect(try waiting.answer(announcing: true).status == 200)
        // The connection goes on.
        waiting.send(head("/tokenize").replacing("Expect: 100-continue\r\n", with: "") + body)
        #expect(try waiting.answer(announcing: true).status == 200)
        #expect(try workspace.run("keys", "add", "a", "--scope", "submit").status == 0)
        try eventually("the key to count") { try server.request("GET", "/v1/models").status == 401 }
        let refused = try server.connect()
        refused.send(head("/v1/completions"))
        let answer = try refused.answer(announcing: true)
        #expect(answer.status == 401 && answer.headers["connection"] == "close")
        try refused.waitForEnd()
        try server.stop()
    }

    /// HEAD is answered as GET is, without the body: whatever came behind the headers would be taken for the next answer.
    @Test func headIsGetWithoutItsBody() throws {
        let server = try TestServer(workspace)
        let prompts = try workspace.write("p.jsonl", #"{"prompt": "the king", "max_tokens": 2}"#)
        #expect(try workspace.run("enqueue", prompts).status == 0)
        #expect(try workspace.run("wait", "batch_1").status == 0)
        let batch = try jsonObject(server.request("GET", "/v1/batches/batch_1").body)
        let results = "/v1/files/\(try #require(batch["output_file_id"] as? String))/content"
        let both = try server.connect()
        let paths = ["/health", "/v1/models", "/metrics", "/", results, "/v1/files/file-none", "/no/such/path"]
        for (path, host) in paths.map({ ($0, "localhost") }) + [("/health", "another.example")] {
            both.send("HEAD \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\nGET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            let head = try both.answer(toHead: true)
            let get = try both.answer()
            #expect(head.status == get.status && head.headers["content-type"] == get.headers["content-type"], "\(path)")
            // Metrics and the page differ from one time to the next.
            guard !["/metrics", "/"].contains(path) else { continue }
            #expect(head.headers["content-length"] == "\(get.body.utf8.count)", "\(path): \(head)")
        }
        try server.stop()
    }

    // MARK: - Many clients

    @Test func furtherConnectionsWaitForTheirTurn() throws {
        let server = try TestServer(workspace, ["server.max_connections=2"])
        var kept = [try server.connect(), try server.connect()]
        for connection in kept { #expect(try connection.request("GET", "/health").status == 200) }
        let third = try server.connect()
        third.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try kept[0].request("GET", "/health").status == 200)
        kept.removeLast()
        #expect(try third.answer().status == 200)
        try server.stop()
    }

    /// Whoever leaves makes room, also before his answer has begun.
    @Test func aClientThatLeavesCancelsItsRequest() throws {
        let server = try TestServer(workspace, ["server.online_limit=1"])
        for fields in ["", #","stream":true"#] {
            var gone: RawConnection? = try server.connect()
            let body = Self.completion(240, fields)
            gone?.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            gone = nil
            try eventually("room") { try server.post("/v1/completions", Self.completion(1)).status == 200 }
        }
        try server.stop()
    }

    /// Whoever breaks off while he sends is no trouble of the server, and leaves nothing.
    @Test func aClientThatBreaksOffIsNoError() throws {
        let server = try TestServer(workspace, at: "127.0.0.1:0")
        let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\nabc"
        for head in [
            "POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b",
            "POST /v1/completions HTTP/1.1", "POST /ttbatch/v1/batches?file=a HTTP/1.1", "POST /login HTTP/1.1",
        ] {
            for isReset in [true, false, true] {
                var gone: RawConnection? = try server.connect()
                if isReset { gone?.resetAtEnd() }
                gone?.send("\(head)\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n\(form)")
                Thread.sleep(forTimeInterval: 0.05)
                gone = nil
            }
        }
        #expect(try server.request("GET", "/health").status == 200)
        let uploads = workspace.path("queue.db-files")
        try eventually("no rest") { try FileManager.default.contentsOfDirectory(atPath: uploads).isEmpty }
        server.daemon.send(SIGTERM)
        let outcome = try server.daemon.waitForEnd()
        #expect(outcome.status == 0 && !outcome.errors.contains(" error "), "\(outcome.errors)")
    }

    // MARK: - The end

    @Test func theServerEndsAfterItsAnswers() throws {
        let server = try TestServer(workspace)
        let idle = try server.connect()
        #expect(try idle.request("GET", "/health").status == 200)
        let fresh = try server.connect()
        let running = try server.connect()
        // More than the socket holds before it is read.
        let body = Self.completion(240, #","stream":true,"n":4"#)
        running.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        // Clients that ask all the time.
        let loop = try RunningProgram(
            ["-c", "while curl -s -o /dev/null --unix-socket \(socket) http://localhost/v1/models; do :; done"],
            program: "bash", environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory)
        try running.waitForAnswer()
        server.daemon.send(SIGTERM)
        try idle.waitForEnd()
        try fresh.waitForEnd()
        let answer = try running.answer()
        #expect(answer.status == 200 && answer.body.hasSuffix("data: [DONE]\n\n"), "\(answer.body.suffix(300))")
        try running.waitForEnd()
        let outcome = try server.daemon.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)")
        _ = try loop.waitForEnd()
        #expect(throws: POSIXError.self) { _ = try server.connect() }
        #expect(!outcome.errors.contains("error"), "\(outcome.errors)")
    }

    @Test func aSecondSignalEndsItAtOnce() throws {
        let server = try TestServer(workspace, ["daemon.grace_s=1000"])
        let stalled = try server.connect()
        stalled.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        #expect(try server.request("GET", "/health").status == 200)
        server.daemon.send(SIGTERM)
        try eventually("the first signal to count") { (try? server.connect()) == nil }
        server.daemon.send(SIGTERM)
        try stalled.waitForEnd()
        _ = try server.daemon.waitForEnd()
    }
}
