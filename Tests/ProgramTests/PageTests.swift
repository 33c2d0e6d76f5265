// The page over HTTP, without a browser: what it shows and hides, what its forms do, and its stream of changes.

import Foundation
import TestSupport
import Testing

@Suite("The page")
struct PageTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private var socket: String { workspace.path("s") }

    private func daemon(_ settings: String...) throws -> RunningProgram {
        let daemon = try workspace.start(
            ["daemon", "--set", "server.listen=unix:\(socket)"] + settings.flatMap { ["--set", $0] })
        for _ in 0..<600 where try curl("/ready").status != 200 { Thread.sleep(forTimeInterval: 0.05) }
        #expect(try curl("/ready").status == 200, "\(daemon.errorsSoFar)")
        return daemon
    }

    private struct Answer {
        let status: Int
        let headers: String
        let body: String

        /// The value of the first hidden field of a name.
        func field(_ name: String) -> String? {
            body.components(separatedBy: "name=\"\(name)\" value=\"").dropFirst().first
                .map { String($0.prefix { $0 != "\"" }) }
        }

        /// Where the browser is sent.
        var location: String? {
            headers.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix("location:") }
                .map { $0.dropFirst(9).trimmingCharacters(in: .whitespaces) }
        }
    }

    private func start(_ path: String, _ options: [String]) throws -> RunningProgram {
        try RunningProgram(
            ["-sNi", "--unix-socket", socket] + options + ["http://localhost" + path], program: "curl",
            environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory)
    }

    private func curl(_ path: String, _ options: String...) throws -> Answer {
        let output = try start(path, options).waitForEnd().output
        let parts = output.components(separatedBy: "\r\n\r\n")
        let status = parts[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, headers: parts[0], body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    /// Sends a form.
    private func post(_ action: String, _ fields: [(String, String)]) throws -> Answer {
        let words = fields.flatMap { ["--data-urlencode", "\($0)=\($1)"] }
        let output = try start("/actions/" + action, words).waitForEnd().output
        let parts = output.components(separatedBy: "\r\n\r\n")
        let status = parts[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, headers: parts[0], body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    private func status() throws -> [String: Any] { try jsonObject(workspace.run("status", "--json").output) }

    /// A batch with a long text of its own, and a line that cannot run.
    private func enqueue(
        _ name: String, jobs: Int = 1, maxTokens: Int = 20, prompt: String = "the king", _ options: String...
    ) throws {
        let lines = try (0..<jobs).map {
            try requestLine("\(name)-\($0)", ["prompt": prompt, "max_tokens": maxTokens, "seed": $0])
        }
        let file = try workspace.write(name, lines: lines + [#"{"custom_id":"bad <i>"}"#])
        let outcome = try workspace.run(["enqueue", file, "--skip-invalid"] + options)
        #expect(outcome.status == 0, "\(outcome.errors)")
    }

    @Test func theQueueIsShownAndNothingElse() throws {
        try enqueue("a<script>alert(1)<b>.jsonl", prompt: "the <i>secret</i> prompt")
        let daemon = try daemon()
        _ = try workspace.run("wait", "1")
        let page = try curl("/")
        #expect(page.status == 200)
        for words in [
            "tiny-f16", "incarnation 1", "Pause the queue", "a&lt;script&gt;alert(1)&lt;b&gt;.jsonl", "2 of 2",
        ] {
            #expect(page.body.contains(words), "\(words)")
        }
        let one = try curl("/?batch=batch_1")
        #expect(one.status == 200 && one.body.contains("Times and results"))
        #expect(!one.body.contains("secret") && one.body.contains("Prompts are hidden"))
        for text in [page, one] {
            #expect(!text.body.contains("<script>") && !text.body.contains("<b>") && !text.body.contains("<i>"))
            #expect(!text.body.contains(" style=") && !text.body.contains(" onclick="))
            #expect(text.body.contains("bad &lt;i&gt;"))
            // Neither paths nor the host are anybody's business.
            #expect(!text.body.contains(workspace.directory.path) && !text.body.contains(Locations.tinyModel))
            #expect(!text.body.contains(ProcessInfo.processInfo.hostName))
            #expect(text.headers.contains("default-src 'none'; script-src 'self'"))
        }
        #expect(try curl("/?batch=batch_9").status == 404)
        #expect(try curl("/?batch=../etc").status == 400)
        let unknown = try curl("/?batch=%3Cscript%3E")
        #expect(unknown.status == 400 && unknown.body.contains("&lt;script&gt;") && !unknown.body.contains("<script>"))
        #expect(try !curl("/?done=%3Cscript%3E").body.contains("<script>"))
        for file in ["/page.css", "/page.js"] {
            let name = try #require(page.body.range(of: file + "?")).lowerBound
            let path = String(page.body[name...].prefix { $0 != "\"" })
            let answer = try curl(path)
            #expect(answer.status == 200 && answer.headers.contains("immutable") && answer.body.count > 500)
        }
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test func promptsAreShownWhereThatIsWanted() throws {
        try enqueue("p.jsonl", prompt: "the <i>secret</i> prompt")
        let daemon = try daemon("server.show_prompts=true")
        _ = try workspace.run("wait", "1")
        let one = try curl("/?batch=1").body
        #expect(one.contains("the &lt;i&gt;secret&lt;/i&gt; prompt") && !one.contains("Prompts are hidden"))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// Without the token of the page nothing is done, and with it what the button says.
    @Test func formsActWithTheirTokenOnly() throws {
        let daemon = try daemon()
        let token = try #require(curl("/").field("token"))
        let paused = try post("pause", [("token", token)])
        #expect(paused.status == 303 && paused.location == "/?done=queue-pause")
        #expect(try status()["paused_ms"] is Int && curl(paused.location!).body.contains("The queue is paused"))
        try enqueue("a.jsonl", jobs: 3)
        #expect(try !curl("/events", "--max-time", "2").body.isEmpty)
        // Neither a request that changes nothing by its kind, nor one from elsewhere.
        for action in ["pause", "resume", "cancel", "retry"] {
            #expect(try curl("/actions/\(action)?token=\(token)&batch=1").status == 404)
            #expect(try post(action, [("batch", "1")]).status == 403)
            #expect(try post(action, [("token", String(token.dropLast()) + "x"), ("batch", "1")]).status == 403)
        }
        let batch = { try jsonObject(workspace.run("show", "1", "--json").output)["ttbatch"] as? [String: Any] }
        #expect(try batch()?["pending"] as? Int == 3 && batch()?["paused_ms"] is NSNull)
        #expect(try post("cancel", [("token", token)]).status == 400)
        #expect(try post("retry", [("token", token), ("batch", "1")]).status == 409)
        #expect(try post("pause", [("token", token), ("batch", "1")]).status == 303)
        #expect(try batch()?["paused_ms"] is Int && curl("/").body.contains(">Resume<"))
        #expect(try post("resume", [("token", token), ("batch", "1")]).status == 303)
        #expect(try batch()?["paused_ms"] is NSNull)
        let cancelled = try post("cancel", [("token", token), ("batch", "batch_1"), ("from", "batch_1")])
        #expect(cancelled.status == 303 && cancelled.location == "/?done=cancel&batch=batch_1")
        #expect(try batch()?["cancelled"] as? Int == 3)
        #expect(try post("resume", [("token", token)]).status == 303)
        #expect(try status()["paused_ms"] is NSNull)
        let again = try post("pause", [("token", token), ("batch", "1")])
        #expect(again.status == 409 && again.body.contains("has already ended") && again.body.contains("<h1>"))
        #expect(try post("pause", [("token", token), ("batch", "77")]).status == 404)
        #expect(try post("pause", [("token", token), ("batch", "x")]).status == 400)
        let large = String(repeating: "x", count: 20_000)
        #expect(try post("pause", [("token", token), ("batch", large)]).status == 413)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// The jobs of a cause run again in a batch of their own.
    @Test func aCauseIsRunAgain() throws {
        let model = workspace.path("short.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: model)
        try enqueue("a.jsonl", jobs: 4, "--model", model)
        #expect(truncate(model, 5000) == 0)
        let daemon = try daemon("daemon.max_model_errors=1")
        _ = try workspace.run("wait", "1")
        let page = try curl("/")
        // The line that was never fit to run is another cause, which has no form.
        #expect(page.body.contains("Retry these") && page.body.contains("enqueue them anew"), "\(page.body)")
        #expect(page.field("code") == "model_unavailable" && page.body.contains("4 jobs"))
        #expect(!page.body.contains(workspace.directory.path))
        let token = try #require(page.field("token"))
        let fields = [("token", token), ("batch", "batch_1")]
        let retried = try post("retry", fields + [("code", "model_unavailable")])
        #expect(retried.status == 303 && retried.location == "/?done=retry&batch=batch_2")
        let counts = try jsonObject(workspace.run("show", "2", "--json").output)["request_counts"] as? [String: Any]
        #expect(counts?["total"] as? Int == 4)
        #expect(try post("retry", fields + [("code", "other")]).status == 409)
        #expect(try curl("/").body.contains("again in"))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// What changes is told while it changes; a daemon that stops does not wait for those who look.
    @Test func changesAreStreamed() throws {
        let daemon = try daemon("engine.max_num_seqs=2", "server.online_slots=1")
        let looking = try start("/events", [])
        defer { looking.send(SIGKILL) }
        func events() -> [[String: Any]] {
            looking.outputSoFar.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: {") && $0.hasSuffix("}") }
                .compactMap { try? jsonObject(String($0.dropFirst(6))) }
        }
        func wait(_ condition: ([[String: Any]]) -> Bool) -> Bool {
            for _ in 0..<400 where !condition(events()) { Thread.sleep(forTimeInterval: 0.05) }
            return condition(events())
        }
        #expect(wait { !$0.isEmpty })
        #expect(Set(events()[0].keys) == ["head", "now", "night", "batches", "failures"])
        try enqueue("new.jsonl", jobs: 200, maxTokens: 100)
        #expect(wait { $0.contains { ($0["batches"] as? String)?.contains("new.jsonl") == true } })
        // Later events have what has changed only.
        #expect(wait { $0.count > 3 } && events().dropFirst().allSatisfy { $0.count < 5 })
        #expect(looking.outputSoFar.lowercased().contains("content-type: text/event-stream"))
        daemon.send(SIGTERM)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
        _ = try looking.waitForEnd()
    }
}
