// Who may ask the server for what, and the holes that were published of servers like this one: numbers in brackets are those
// of the list in Tests/KnownBugs.md.

import Foundation
import TestSupport
import Testing

@Suite("Security")
struct SecurityTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func addKey(_ name: String, _ scopes: String..., more: [String] = []) throws -> String {
        let outcome = try workspace.run(["keys", "add", name] + scopes.flatMap { ["--scope", $0] } + more)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    private static let completion = #"{"prompt":"the king","max_tokens":2}"#

    // MARK: - Keys

    @Test func aKeyIsShownOnceAndKeptAsAHash() throws {
        let key = try addKey("ann", "submit", "metrics", more: ["--tenant", "lab"])
        #expect(key.hasPrefix("ttb_") && key.utf8.count == 44)
        let list = try workspace.run("keys", "list")
        #expect(list.output.contains("ann") && list.output.contains("lab") && list.output.contains("submit,metrics"))
        let json = try jsonObject(workspace.run("keys", "list", "--json").output)
        #expect(json["scopes"] as? [String] == ["submit", "metrics"])
        let secret = String(key.dropFirst(12))
        for name in try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        where name.hasPrefix("queue.db") {
            #expect(try Data(contentsOf: URL(filePath: workspace.path(name))).range(of: Data(secret.utf8)) == nil)
        }
        #expect(!list.output.contains(secret))
        #expect(try workspace.run("keys", "add", "ann", "--scope", "read").status == 8)
        for words in [["bob"], ["bob", "--scope", "all"], ["bob\n", "--scope", "read"], ["a/b", "--scope", "read"]] {
            #expect(try workspace.run(["keys", "add"] + words).status == 2, "\(words)")
        }
        #expect(try workspace.run("keys", "remove", "bob").status == 6)
        #expect(try workspace.run("keys", "remove", "ann").status == 0)
        #expect(try workspace.run("keys", "list").lines.count == 1)
    }

    @Test func aKeyOpensWhatItsScopesSay() throws {
        let server = try TestServer(workspace)
        #expect(try server.post("/v1/completions", Self.completion).status == 200)
        let keys = [
            "submit": try addKey("s", "submit"), "read": try addKey("r", "read"),
            "admin": try addKey("a", "admin"), "metrics": try addKey("m", "metrics"),
        ]
        // It is seen at the latest after half a second.
        try eventually("keys to count") { try server.request("GET", "/v1/models").status == 401 }
        let asking: [(String, String, String?, Set<String>)] = [
            ("GET", "/v1/models", nil, ["submit", "read", "admin"]),
            ("GET", "/v1/models/tiny-f16", nil, ["submit", "read", "admin"]),
            ("POST", "/v1/completions", Self.completion, ["submit", "admin"]),
            ("POST", "/tokenize", #"{"prompt":"a"}"#, ["submit", "admin"]),
            ("POST", "/detokenize", #"{"tokens":[1]}"#, ["submit", "admin"]),
            ("GET", "/tokenizer_info", nil, ["submit", "admin"]),
        ]
        for (method, path, body, scopes) in asking {
            for (scope, key) in keys {
                for header in ["Authorization: Bearer \(key)", "authorization: bearer \(key)", "X-Api-Key: \(key)"] {
                    let answer = try server.request(method, path, [header], body: body)
                    #expect(answer.status == (scopes.contains(scope) ? 200 : 403), "\(path) \(scope) \(answer.body)")
                    if answer.status == 403 { #expect(answer.code == "insufficient_scope") }
                }
            }
        }
        let good = try #require(keys["read"])
        let wrong = [
            "Authorization: Bearer ", "Authorization: Bearer", "X-Api-Key:", "Authorization: Basic \(good)",
            "Authorization: \(good)",
            "Authorization: Bearer \(good.dropLast())", "Authorization: Bearer \(good)x",
            "Authorization: Bearer \(good.dropLast())\(good.hasSuffix("0") ? "1" : "0")",
            "Authorization: Bearer ttb_\(String(repeating: "0", count: 40))", "Cookie: ttbatch_session=\(good)",
            "Authorization: Bearer \(good), Bearer \(good)", "Authorization: Bearer \u{1F511}",
        ]
        for header in wrong {
            let answer = try server.request("GET", "/v1/models", [header])
            #expect(answer.status == 401 && answer.code == "invalid_api_key", "\(header) \(answer.body)")
            #expect(answer.headers["www-authenticate"] == "Bearer")
        }
        for path in ["/ready", "/version", "/none", "//health", "/health/", "/metrics", "/login/x", "/HEALTH"] {
            #expect(try server.request("GET", path).status == 401, "\(path)")
        }
        for path in ["/health", "/login"] { #expect(try server.request("GET", path).status == 200, "\(path)") }
        // A person's browser is led to the login.
        let page = try server.request("GET", "/", ["Accept: text/html"])
        #expect(page.status == 303 && page.headers["location"] == "/login")

        // A key that is removed ends on connections that are open, too; without keys everybody is let in again.
        let open = try server.connect()
        func ask() throws -> Int { try open.request("GET", "/v1/models", ["X-Api-Key: \(good)"]).status }
        #expect(try ask() == 200)
        #expect(try workspace.run("keys", "remove", "r").status == 0)
        try eventually("the key to end") { try ask() == 401 }
        for name in ["s", "a", "m"] { #expect(try workspace.run("keys", "remove", name).status == 0) }
        try eventually("the server to open") { try server.request("GET", "/v1/models").status == 200 }
        try server.stop()
    }

    /// People's browsers: a form, a cookie that is no key, and nothing without the form's token [13, 16].
    @Test func peopleLogIn() throws {
        let key = try addKey("ann", "read")
        let server = try TestServer(workspace, key: key)
        let page = try server.request("GET", "/login")
        #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(page.headers["content-security-policy"]?.contains("frame-ancestors 'none'") == true)
        let token = try #require(page.body.firstMatch(of: #/name="token" value="([0-9a-f]+)"/#)).1
        #expect(try server.post("/login", "key=\(key)").status == 403)
        #expect(try server.post("/login", "token=\(String(token.reversed()))0&key=\(key)").status == 403)
        #expect(try server.post("/login", "token=\(token)&key=ttb_wrong").status == 401)
        let answer = try server.post("/login", "token=\(token)&key=\(key)", ["Origin: http://localhost"])
        let cookie = try #require(answer.headers["set-cookie"])
        #expect(answer.status == 303 && !cookie.contains(key.dropFirst(12)))
        #expect(["HttpOnly", "SameSite=Strict", "Path=/"].allSatisfy(cookie.contains))
        let session = "Cookie: other=1; \(cookie.prefix { $0 != ";" })"
        #expect(try server.request("GET", "/v1/models", [session]).status == 200)
        #expect(try server.request("POST", "/v1/completions", [session], body: Self.completion).status == 403)
        // A query is no form: nothing changes by GET.
        #expect(try server.request("GET", "/logout?token=\(token)", [session]).status == 404)
        #expect(try server.request("POST", "/logout", [session], body: "").status == 403)
        #expect(try server.request("GET", "/v1/models", [session]).status == 200)
        #expect(try server.request("POST", "/logout", [session], body: "token=\(token)").status == 303)
        #expect(try server.request("GET", "/v1/models", [session]).status == 401)
        // A session ends with its key.
        let again = try server.post("/login", "token=\(token)&key=\(key)").headers["set-cookie"] ?? ""
        let second = "Cookie: \(again.prefix { $0 != ";" })"
        #expect(try server.request("GET", "/v1/models", [second]).status == 200)
        _ = try addKey("bob", "read")
        #expect(try workspace.run("keys", "remove", "ann").status == 0)
        try eventually("the session to end") { try server.request("GET", "/v1/models", [second]).status == 401 }
        try server.stop()
    }

    // MARK: - Other sites

    /// A name that leads to this machine is not enough [11], and no answer is for scripts of other sites [12, 18].
    @Test func otherSitesReachNothing() throws {
        let server = try TestServer(workspace, at: "127.0.0.1:0", ["server.hosts=[Batch.example]"])
        guard case .tcp(let port) = server.place else { throw Unexpected() }
        for host in ["localhost", "localhost:\(port)", "127.0.0.1:\(port)", "batch.example", "BATCH.example:443"] {
            #expect(try server.request("GET", "/health", host: host).status == 200, "\(host)")
        }
        for host in ["evil.example", "evil.example:\(port)", "localhost.evil.example", "127.0.0.2", "[::1]", "", "@"] {
            let answer = try server.request("GET", "/v1/models", host: host)
            #expect([400, 421].contains(answer.status), "\(host) \(answer.body)")
        }
        let nameless = try server.connect()
        nameless.send("GET /v1/models HTTP/1.1\r\n\r\n")
        #expect([400, 421].contains(try nameless.answer().status))

        for origin in ["http://evil.example", "null", "http://localhost:1", "", "http://127.0.0.1:\(port)", "file://"] {
            for path in ["/v1/completions", "/login", "/none"] {
                let answer = try server.request("POST", path, ["Origin: \(origin)"], body: Self.completion)
                #expect(answer.status == 403 && answer.code == "foreign_origin", "\(origin) \(answer.body)")
            }
        }
        let own = ["Origin: http://localhost:\(port)"]
        let posted = try server.request(
            "POST", "/v1/completions", host: "localhost:\(port)", own, body: Self.completion)
        #expect(posted.status == 200, "\(posted.body)")
        for method in ["GET", "OPTIONS", "POST"] {
            let answer = try server.request(
                method, "/v1/models", ["Origin: http://evil.example", "Access-Control-Request-Method: POST"])
            #expect(!answer.headers.keys.contains { $0.hasPrefix("access-control-") })
            #expect(answer.headers["cross-origin-resource-policy"] == "same-origin")
            #expect(answer.headers["x-content-type-options"] == "nosniff")
            #expect(answer.headers["x-request-id"]?.hasPrefix("req_") == true)
            #expect(answer.headers["referrer-policy"] == "same-origin")
        }
        try server.stop()
    }

    // MARK: - Requests

    /// Nothing of a body is looked at before the caller is known [7, 15].
    @Test func strangersAreRefusedBeforeTheirBody() throws {
        let key = try addKey("ann", "submit")
        let server = try TestServer(workspace, key: key)
        let connection = try server.connect()
        connection.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        let answer = try connection.answer()
        #expect(answer.status == 401 && answer.headers["connection"] == "close")
        try connection.waitForEnd()
        let endless = try server.connect()
        endless.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try endless.answer().status == 401)
        let chunk = "8000\r\n\(String(repeating: "x", count: 0x8000))\r\n"
        try eventually("the end of an endless body") { !endless.send(chunk) }
        #expect(try server.post("/v1/completions", "{\u{0}", ["X-Api-Key: no"]).status == 401)
        try server.stop()
    }

    /// Requests that made other servers fall over or tell what they should not. Each is refused, and the server goes on.
    @Test func requestsThatWereHolesElsewhereAreRefused() throws {
        let server = try TestServer(workspace)
        func refuse(
            _ path: String, _ body: String, _ param: String?, status: Int = 400,
            _ location: SourceLocation = #_sourceLocation
        ) throws {
            let answer = try server.post(path, body)
            #expect(answer.status == status, "\(body.prefix(200)) \(answer.body)", sourceLocation: location)
            #expect(answer.error?["message"] is String, "\(answer.body)", sourceLocation: location)
            if let param {
                #expect(answer.error?["param"] as? String == param, "\(answer.body)", sourceLocation: location)
            }
            for word in [workspace.directory.path, "/root", "/home", ".swift", "0x", "Optional("] {
                #expect(!answer.body.contains(word), "\(answer.body)", sourceLocation: location)
            }
        }
        func chat(_ fields: String) -> String {
            #"{"messages":[{"role":"user","content":"hi"}],"max_tokens":2,\#(fields)}"#
        }
        let (completions, chats) = ("/v1/completions", "/v1/chat/completions")
        // [1] [9] Numbers without a bound, and negative ones.
        for n in ["1000000000", "129", "0", "-1", "9223372036854775808", "1.5", "1e99", "\"4\""] {
            try refuse(completions, #"{"prompt":"a","n":\#(n)}"#, "n")
        }
        for field in ["max_tokens", "logprobs", "top_k", "best_of", "min_tokens", "truncate_prompt_tokens"] {
            for number in ["-9", "-9223372036854775808", "9223372036854775807"]
            where (field, number) != ("top_k", "9223372036854775807") {
                try refuse(completions, #"{"prompt":"a","\#(field)":\#(number)}"#, nil)
            }
        }
        let prompts = Array(repeating: #""a""#, count: 2048).joined(separator: ",")
        try refuse(completions, #"{"prompt":[\#(prompts)],"n":128}"#, "n")
        try refuse(completions, #"{"prompt":[\#(prompts),"a"]}"#, "prompt")
        try refuse(completions, #"{"prompt":[-1]}"#, "prompt[0]")
        try refuse(completions, #"{"prompt":"a","stop":[\#(prompts)]}"#, "stop")
        try refuse("/detokenize", #"{"tokens":[-1]}"#, "tokens")
        // [8] Thousands of parts and messages; and nesting.
        let parts = Array(repeating: #"{"type":"text","text":""}"#, count: 100_000).joined(separator: ",")
        try refuse(chats, #"{"messages":[{"role":"user","content":[\#(parts)]}]}"#, "messages[0].content")
        let messages = Array(repeating: #"{"role":"user","content":""}"#, count: 100_000).joined(separator: ",")
        try refuse(chats, #"{"messages":[\#(messages)]}"#, "messages")
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let deep = String(repeating: open, count: 100_000) + "1" + String(repeating: close, count: 100_000)
            try refuse(completions, #"{"prompt":\#(deep)}"#, nil)
            try refuse("/tokenize", #"{"prompt":\#(deep)}"#, nil)
        }
        // [4] [15] Nothing is fetched.
        for part in [
            #"{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}"#,
            #"{"type":"input_audio","input_audio":{"data":"file:///etc/passwd"}}"#,
        ] {
            try refuse(chats, #"{"messages":[{"role":"user","content":[\#(part)]}]}"#, "messages[0].content[0].type")
        }
        // [5] Arguments of the template that are the server's, and a template that never ends.
        for name in ["messages", "tools", "bos_token", "add_generation_prompt", "chat_template", "tokenize"] {
            let answer = try server.post(chats, chat(#""chat_template_kwargs":{"\#(name)":"x"}"#))
            #expect(answer.status == 400 || answer.status == 200, "\(answer.body)")
        }
        let loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
        let connection = try server.connect()
        let endless = chat(#""chat_template":"\#(loop)""#)
        connection.send("POST \(chats) HTTP/1.1\r\nHost: a\r\nContent-Length: \(endless.utf8.count)\r\n\r\n\(endless)")
        #expect(try server.request("GET", "/health").status == 200)
        #expect(try connection.answer().status == 400)
        // [6] Tools, schemas, patterns and grammars that are none.
        for fields in [
            #""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"nonsense"}}}],"tool_choice":"required""#,
            #""tools":[{"type":7}]"#,
            #""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"string","pattern":"("}}}"#,
            ##""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"$ref":"#/nowhere"}}}"##,
            #""structured_outputs":{"regex":"("}"#, #""structured_outputs":{"grammar":"no grammar ::"}"#,
        ] {
            try refuse(chats, chat(fields), nil)
        }
        // [17] A template sees no object of the host.
        for template in [
            "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
            "{{ self._TemplateReference__context }}", "{% include '/etc/passwd' %}", "{% import 'os' as os %}",
        ] {
            let answer = try server.post("/tokenize", chat(#""chat_template":"\#(template)","return_token_strs":true"#))
            #expect(!answer.body.contains("root:") && !answer.body.contains("uid="), "\(answer.body)")
            #expect(answer.status == 400 || answer.status == 200, "\(answer.body)")
        }
        // [10] No path is a model, and nothing loads one.
        for model in ["/etc/passwd", "../../etc/passwd", Locations.tinyModel, "none"] {
            try refuse(completions, #"{"prompt":"a","model":"\#(model)"}"#, "model", status: 404)
        }
        for path in ["/api/create", "/api/pull", "/v1/models", "/v1/load_lora_adapter", "/slots/0?action=restore"] {
            #expect(try server.post(path, "{}").status == 404, "\(path)")
        }
        // [13] [14] No action by GET, and no file by path.
        for path in [
            "/v1/completions?prompt=a", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
            "/static/..%2f..%2fetc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd", "/v1/files/../../etc/passwd", "/%00",
        ] {
            let answer = try server.request("GET", path)
            #expect([400, 404].contains(answer.status) && !answer.body.contains("root:"), "\(path) \(answer.body)")
        }
        #expect(try server.post(completions, Self.completion).status == 200)
        try server.stop()
    }

    /// [2] [7] Heads that are too large, or no HTTP, or two requests in one.
    @Test func headsThatAreNoneAreRefused() throws {
        let server = try TestServer(workspace)
        func send(_ text: String) throws -> RawAnswer {
            let connection = try server.connect()
            connection.send(text)
            let answer = try connection.answer()
            try connection.waitForEnd()
            #expect(answer.error?["message"] is String && answer.headers["x-request-id"] != nil, "\(answer)")
            return answer
        }
        let get = "GET /health HTTP/1.1\r\nHost: a\r\n"
        #expect(try send(get + "x: \(String(repeating: "y", count: 20_000))\r\n\r\n").status == 431)
        #expect(try send(get + (0..<101).map { "x\($0): y\r\n" }.joined() + "\r\n").status == 431)
        #expect(try send("GET /\(String(repeating: "y", count: 20_000)) HTTP/1.1\r\nHost: a\r\n\r\n").status == 431)
        for garbage in [
            "\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "NOSUCH / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nx\u{0}y: z\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        ] {
            #expect(try send(garbage).status == 400, "\(garbage)")
        }
        #expect(try server.request("GET", "/health").status == 200)
        try server.stop()
    }
}

private struct Unexpected: Error {}
