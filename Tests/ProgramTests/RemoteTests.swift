// The queue of a daemon elsewhere: every verb says of it what it says of the same queue on its own machine.

import Foundation
import TestSupport
import Testing

/// How the daemon is reached.
enum Reach: String, CaseIterable, Sendable {
    case socket, port
}

@Suite("Remote queues")
struct RemoteTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    // MARK: - A daemon and its callers

    /// Where a daemon listens, as its configuration and as its callers write it.
    private struct Place {
        let listen: String
        let url: String
    }

    private func place(_ reach: Reach) throws -> Place {
        switch reach {
        case .socket:
            let path = workspace.path("s")
            return Place(listen: "unix:\(path)", url: "unix:\(path)")
        case .port:
            let port = try freePort()
            return Place(listen: "127.0.0.1:\(port)", url: "http://127.0.0.1:\(port)/")
        }
    }

    /// The settings of whoever works on the queue: the model has a name, and is not asked for over what files say.
    private func settings() throws -> [String: String] {
        let folder = URL(filePath: Locations.tinyModel).deletingLastPathComponent().path
        return [
            "TTBATCH_CONFIG": try workspace.write("c.yaml", "model: tiny-f16\nmodels_directory: \(folder)\n")
        ]
    }

    private func local(
        _ arguments: [String], input: String? = nil, database: String = "queue.db", environment: [String: String] = [:]
    ) throws -> Outcome {
        try workspace.run(
            arguments + ["--db", workspace.path(database)], input: input, model: nil,
            environment: try settings().merging(environment) { $1 })
    }

    private func startRemote(
        _ arguments: [String], _ place: Place, input: String? = nil, environment: [String: String] = [:]
    ) throws -> RunningProgram {
        // As if nothing of the queue were on this machine.
        let elsewhere = ["TTBATCH_DB": workspace.path("none.db"), "HOME": workspace.path("nobody")]
        return try workspace.start(
            arguments + ["--server", place.url], input: input, model: nil,
            environment: elsewhere.merging(environment) { $1 })
    }

    private func remote(
        _ arguments: [String], _ place: Place, input: String? = nil, environment: [String: String] = [:]
    ) throws -> Outcome {
        try startRemote(arguments, place, input: input, environment: environment).waitForEnd()
    }

    private func daemon(at place: Place) throws -> RunningProgram {
        let daemon = try workspace.start(
            ["daemon", "--set", "server.listen=\(place.listen)"], model: nil, environment: try settings())
        try eventually("the server") { try remote(["list"], place).status == 0 || !daemon.isRunning }
        return daemon
    }

    private func end(_ daemon: RunningProgram) throws {
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    private func lines(_ count: Int, tokens: Int = 5) throws -> [String] {
        try (0..<count).map {
            try requestLine("c\($0)", ["prompt": "the king \($0)", "max_tokens": tokens, "seed": $0])
        }
    }

    // MARK: - Verbs

    @Test(arguments: Reach.allCases)
    func everyVerbSaysTheSame(_ reach: Reach) throws {
        // A batch with results of all kinds, one with faults, one that was cancelled, and one that is paused.
        let wide = try requestLine(
            "wide", ["prompt": "a", "max_tokens": 3, "n": 2, "logprobs": 2, "seed": 1, "return_token_ids": true])
        let chat = try requestLine(
            "chat", url: "/v1/chat/completions",
            ["messages": [["role": "user", "content": "hi \u{1F600}\n"]], "max_tokens": 4, "seed": 2])
        try workspace.write("good.jsonl", try (lines(30) + [wide, chat]).map { $0 + "\n" }.joined())
        try workspace.write("faulty.jsonl", (try lines(3) + ["{\"prompt\": 7}", "x,y"]).joined(separator: "\n"))
        try workspace.write("open.jsonl", try lines(4).map { $0 + "\n" }.joined())
        #expect(try local(["run", "good.jsonl", "-o", "good.out"]).status == 0)
        #expect(try local(["run", "faulty.jsonl", "--skip-invalid", "-o", "faulty.out"]).status == 4)
        #expect(try local(["enqueue", "open.jsonl", "-q", "--name", "gone"]).status == 0)
        #expect(try local(["cancel", "gone"]).status == 0)
        #expect(
            try local(["enqueue", "open.jsonl", "-q", "--name", "ünı q&a=1", "--priority", "7", "--window", "2d"])
                .status == 0)
        #expect(try local(["pause", "4"]).status == 0)
        let place = try place(reach)
        let daemon = try daemon(at: place)
        let questions: [[String]] =
            [
                ["list"], ["list", "--json"], ["list", "--limit", "2"], ["list", "--before", "3", "--json"],
                ["list", "--before", "gone"], ["list", "--drafts"], ["list", "--limit", "0"],
                ["list", "--before", "none"],
                ["status"], ["status", "--json"], ["status", "--metrics"], ["status", "--metrics", "--json"],
                ["show", "gone"], ["show", "ünı q&a=1"], ["show", "ünı q&a=1", "--json"], ["show", "99"],
                ["show", "no such"], ["wait", "1", "1"], ["wait", "1", "2"], ["wait", "gone"], ["wait", "99"],
                ["results", "4"], ["results", "4", "--partial"], ["results", "99"],
                ["results", "1", "-o", "."], ["cancel", "1"], ["cancel", "99"], ["retry", "1"],
                ["retry", "4"], ["pause", "1"], ["resume", "2"], ["resume", "none"],
            ]
            + (1...3).flatMap { batch in
                [["show", "\(batch)"], ["show", "batch_\(batch)", "--json"]]
                    + ["jsonl", "csv", "text"].map { ["results", "\(batch)", "--format", $0] }
                    + ["all", "succeeded", "failed", "cancelled"].map {
                        ["results", "\(batch)", "--order", "completion", "--state", $0]
                    }
            }
        for question in questions {
            let here = try local(question)
            let there = try remote(question, place)
            let location = place.url.hasSuffix("/") ? String(place.url.dropLast()) : place.url
            let database = workspace.database
            #expect(there.output == here.output.replacing(database, with: location), "\(question)")
            #expect(there.status == here.status, "\(question)")
            // The parser's own errors end with the usage.
            #expect(there.errors == here.errors.replacing(database, with: location), "\(question)")
        }
        let file = try remote(["results", "1", "-o", "there.out"], place)
        #expect(file.status == 0 && file.output.isEmpty)
        #expect(try workspace.read("there.out") == local(["results", "1"]).output)
        try end(daemon)
    }

    @Test func batchesArePausedCancelledAndRetriedFromElsewhere() throws {
        let place = try place(.socket)
        let daemon = try daemon(at: place)
        #expect(try remote(["pause"], place).errors == "the queue is paused\n")
        #expect(try local(["list"]).errors.contains("the queue is paused since"))
        try workspace.write("a.jsonl", try lines(5).map { $0 + "\n" }.joined())
        let enqueued = try remote(["enqueue", "a.jsonl", "--name", "a"], place)
        #expect((enqueued.status, enqueued.output, enqueued.errors) == (0, "batch_1\n", ""))
        #expect(try remote(["pause", "a"], place).errors == "batch_1 is paused\n")
        #expect(try remote(["resume"], place).status == 0)
        #expect(try jsonObject(local(["status", "--json"]).output)["paused_ms"] is NSNull)
        #expect(try remote(["resume", "a"], place).status == 0)
        #expect(try remote(["wait", "a"], place).status == 0)
        #expect(try remote(["pause"], place).status == 0)
        #expect(try remote(["enqueue", "-"], place, input: try lines(2).joined(separator: "\n")).output == "batch_2\n")
        #expect(
            try remote(["cancel", "2"], place).errors == "batch_2: cancelled 2 jobs, kept 0 that had ended\n")
        #expect(try remote(["retry", "2", "--state", "cancelled"], place).output == "batch_3\n")
        #expect(try remote(["resume"], place).status == 0)
        let waited = try remote(["results", "3", "--wait"], place)
        #expect(waited.status == 0 && waited.lines.count == 2)
        try end(daemon)
    }

    // MARK: - Files

    /// Each enqueue does here and there the same, and says so in the same words.
    @Test(arguments: Reach.allCases)
    func enqueuesSayTheSame(_ reach: Reach) throws {
        let good = try lines(3).map { $0 + "\n" }.joined()
        try workspace.write("good.jsonl", good)
        try workspace.write("more.jsonl", try lines(700, tokens: 1).map { $0 + "\n" }.joined())
        try workspace.write("bad.jsonl", "{\"prompt\": 7}\n\n" + good + "{\n{\"prompt\": \"a\", \"temprature\": 1}\n")
        try workspace.write("twice.jsonl", good + good)
        try workspace.write("text.jsonl", "Dear Sir,\nthank you\n")
        try workspace.write("array.jsonl", "[\n" + good + "]\n")
        try workspace.write("empty.jsonl", "")
        try workspace.write("blank.jsonl", "\n\n" + good)
        try workspace.write("stream.jsonl", try requestLine("s", ["prompt": "a", "stream": true]) + "\n")
        try workspace.write("model.jsonl", try requestLine("m", ["prompt": "a", "model": "gpt-4o-mini"]) + "\n")
        for command in ["gzip -k good.jsonl", "zstd -q bad.jsonl", "head -c 60 good.jsonl.gz > cut.jsonl.gz"] {
            let shell = try RunningProgram(
                ["-c", command], program: "sh", environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory)
            #expect(try shell.waitForEnd().status == 0)
        }
        let place = try place(reach)
        let daemon = try daemon(at: place)
        // Nothing runs, so that both queues stay as they are.
        #expect(try remote(["pause"], place).status == 0)
        let orders: [([String], String?)] = [
            (["good.jsonl"], nil), (["good.jsonl.gz"], nil), (["bad.jsonl"], nil), (["bad.jsonl.zst"], nil),
            (["./bad.jsonl", "--max-errors", "2"], nil), (["bad.jsonl", "--skip-invalid"], nil),
            (["bad.jsonl", "--skip-invalid", "--max-errors", "1"], nil), (["twice.jsonl"], nil),
            (["text.jsonl"], nil), (["array.jsonl"], nil), (["empty.jsonl"], nil), (["blank.jsonl"], nil),
            (["stream.jsonl"], nil), (["model.jsonl"], nil), (["cut.jsonl.gz"], nil), (["none.jsonl"], nil),
            (["."], nil), (["-"], good), (["-"], "[]"), (["-"], ""),
            (["good.jsonl", "more.jsonl"], nil), (["good.jsonl", "bad.jsonl", "-", "text.jsonl"], "{"),
            (["good.jsonl", "-", "good.jsonl.gz"], good), (["bad.jsonl", "more.jsonl", "--max-errors", "1"], nil),
            (["model.jsonl", "--map-model", "gpt-4o-mini=tiny-f16"], nil),
            (["model.jsonl", "--map-model", "*=nonesuch"], nil), (["model.jsonl", "--map-model", "x"], nil),
            (["good.jsonl", "--model", "tiny-q8_0"], nil), (["good.jsonl", "--model", "nonesuch"], nil),
            (["good.jsonl", "--name", "a b&c", "--priority", "-5", "--deadline", "2099-01-01 00:00"], nil),
            (["good.jsonl", "--name", "a b&c"], nil), (["none.jsonl", "--name", "a b&c", "--if-not-exists"], nil),
            (["good.jsonl", "--name", "17"], nil), (["good.jsonl", "--priority", "2000"], nil),
        ]
        for (order, input) in orders {
            let here = try local(["enqueue", "-q"] + order, input: input, database: "here.db")
            let there = try remote(["enqueue", "-q"] + order, place, input: input)
            let folder = URL(filePath: Locations.tinyModel).deletingLastPathComponent().path
            // Here the models' folder is named, there it is not.
            let words = here.errors.replacing(folder, with: URL(filePath: folder).lastPathComponent)
            #expect((there.status, there.output, there.errors) == (here.status, here.output, words), "\(order)")
        }
        let facts = { (outcome: Outcome) in
            try outcome.lines.map { line in
                let batch = try jsonObject(line)
                let own = batch["ttbatch"] as? [String: Any] ?? [:]
                return [
                    "\(batch["id"] ?? "")", "\(batch["input_file_id"] ?? "")", "\(own["pending"] ?? "")",
                    "\(own["failed"] ?? "")", "\(own["name"] ?? "")", "\(own["priority"] ?? "")",
                    "\(own["deadline_ms"] ?? "")", "\(own["model"] ?? "")",
                ]
            }
        }
        let there = try facts(remote(["list", "--json", "--limit", "100"], place))
        #expect(try there == facts(local(["list", "--json", "--limit", "100"], database: "here.db")))
        #expect(there.count > 10)
        try end(daemon)
    }

    /// A client that dies leaves nothing, however far it was, and a daemon that is told to stop does not wait for it.
    @Test(arguments: [true, false])
    func anUploadThatBreaksOffLeavesNothing(clientDies: Bool) throws {
        let place = try place(.port)
        let daemon = try daemon(at: place)
        #expect(mkfifo(workspace.path("pipe"), 0o600) == 0)
        let client = try startRemote(["enqueue", "pipe"], place)
        let pipe = try FileHandle(forWritingTo: URL(filePath: workspace.path("pipe")))
        defer { try? pipe.close() }
        try pipe.write(contentsOf: Data(try lines(5000).map { $0 + "\n" }.joined().utf8))
        try eventually("a draft") { try local(["list", "--drafts"]).output.contains("validating") }
        if clientDies {
            client.send(SIGKILL)
            _ = try client.waitForEnd()
            try eventually("no draft") { try local(["list", "--drafts"]).lines.count == 1 }
            try end(daemon)
        } else {
            daemon.send(SIGTERM)
            #expect(try daemon.waitForEnd().status == 0)
            try? pipe.close()
            let outcome = try client.waitForEnd()
            #expect(outcome.status == 75 && outcome.output.isEmpty, "\(outcome.errors)")
            #expect(outcome.errors.contains(place.url.dropLast()), "\(outcome.errors)")
            #expect(try local(["list", "--drafts"]).lines.count == 1)
        }
    }

    /// Errors are told when there are enough, although the input has no end.
    @Test func anEndlessInputEndsAtItsErrors() throws {
        let place = try place(.port)
        let daemon = try daemon(at: place)
        let command = "yes '{\"prompt\": 7}' | \(Locations.program.path) enqueue - --max-errors 3 --server \(place.url)"
        let shell = try RunningProgram(
            ["-c", command], program: "sh", environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory)
        let outcome = try shell.waitForEnd(atMost: .seconds(60))
        #expect(outcome.status == 3 && outcome.errors.split(separator: "\n").count == 4, "\(outcome.errors)")
        try end(daemon)
    }

    @Test func anEnqueueWhoseServerDiesCanBeRepeated() throws {
        let place = try place(.port)
        var daemon = try daemon(at: place)
        #expect(mkfifo(workspace.path("pipe"), 0o600) == 0)
        let client = try startRemote(["enqueue", "pipe", "--name", "night", "--if-not-exists"], place)
        let pipe = try FileHandle(forWritingTo: URL(filePath: workspace.path("pipe")))
        try pipe.write(contentsOf: Data(try lines(5000).map { $0 + "\n" }.joined().utf8))
        try eventually("a draft") { try local(["list", "--drafts"]).output.contains("validating") }
        daemon.send(SIGKILL)
        _ = try daemon.waitForEnd()
        try? pipe.close()
        let lost = try client.waitForEnd()
        #expect(lost.status == 75 && lost.errors.contains("not known") && lost.errors.contains("--if-not-exists"))
        daemon = try self.daemon(at: place)
        #expect(try remote(["pause"], place).status == 0)
        try workspace.write("night.jsonl", try lines(20).map { $0 + "\n" }.joined())
        for _ in 0..<2 {
            let again = try remote(["enqueue", "night.jsonl", "--name", "night", "--if-not-exists"], place)
            #expect(again.status == 0 && again.lines.count == 1, "\(again.errors)")
        }
        #expect(try remote(["list", "--drafts"], place).lines.count == 2)
        try end(daemon)
    }

    @Test func waitingGoesOnWhileTheServerIsStartedAgain() throws {
        let place = try place(.socket)
        var daemon = try daemon(at: place)
        #expect(try remote(["pause"], place).status == 0)
        try workspace.write("a.jsonl", try lines(3).map { $0 + "\n" }.joined())
        #expect(try remote(["enqueue", "a.jsonl"], place).status == 0)
        let wait = try startRemote(["wait", "1"], place)
        let results = try startRemote(["results", "1", "--wait"], place)
        try eventually("a look") { wait.errorsSoFar.contains("paused") && results.errorsSoFar.contains("paused") }
        daemon.send(SIGKILL)
        _ = try daemon.waitForEnd()
        try eventually("a word") { wait.errorsSoFar.contains("trying again") }
        daemon = try self.daemon(at: place)
        #expect(try remote(["resume"], place).status == 0)
        #expect(try wait.waitForEnd().status == 0)
        let outcome = try results.waitForEnd()
        #expect(outcome.status == 0 && outcome.lines.count == 3)
        try end(daemon)
    }

    // MARK: - What is refused

    @Test(arguments: [
        ["db", "check"], ["db", "prune", "--older-than", "1d"], ["run", "a.jsonl"], ["daemon"], ["rerun", "1", "a"],
        ["models", "list"],
    ])
    func verbsOfThisMachineRefuseAServer(_ verb: [String]) throws {
        let outcome = try workspace.run(verb + ["--server", "http://127.0.0.1:1"])
        #expect(outcome.status == 2 && outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        #expect(outcome.errors.contains("--server"))
    }

    @Test func theServerIsNamedInOneWay() throws {
        let here = ["TTBATCH_SERVER": "http://127.0.0.1:1"]
        #expect(try workspace.run("list", "--db", "a", "--server", "http://a").status == 2)
        let both = try workspace.run("list", environment: here)
        #expect(both.status == 2 && both.errors.contains("TTBATCH_DB"), "\(both.errors)")
        // An option is stronger than the environment.
        let local = try workspace.run("list", "--db", workspace.path("none.db"), environment: here)
        #expect(local.status == 6 && local.errors.contains("none.db"), "\(local.errors)")
        for address in ["ftp://a", "a:80", "http://", "unix:s", "http://me:secret@a", "http://a?b=c"] {
            let outcome = try workspace.run("list", "--server", address)
            #expect(outcome.status == 2 && outcome.errors.contains("expected http://"), "\(outcome.errors)")
        }
        let set = try workspace.run("list", "--server", "http://127.0.0.1:1", "--set", "db=x")
        #expect(set.status == 2 && set.errors.contains("--set"), "\(set.errors)")
        let none = try workspace.run("list", "--server", "http://127.0.0.1:1")
        #expect(none.status == 75 && none.errors.hasPrefix("ttbatch: http://127.0.0.1:1: no answer"), "\(none.errors)")
    }

    @Test func keysComeFromTheEnvironmentAndAreNeverShown() throws {
        let url = ["--server", "http://127.0.0.1:1"]
        let spaced = try workspace.run(["list"] + url, environment: ["TTBATCH_API_KEY": "se cret"])
        #expect(spaced.status == 2 && spaced.errors.contains("TTBATCH_API_KEY") && !spaced.errors.contains("se cret"))
        let missing = try workspace.run(["list"] + url, environment: ["TTBATCH_API_KEY_FILE": "/no/such"])
        #expect(missing.status == 2 && missing.errors.contains("/no/such"))
        try workspace.write("key", "secret\n")
        let file = try workspace.run(["list"] + url, environment: ["TTBATCH_API_KEY_FILE": workspace.path("key")])
        #expect(file.status == 75 && !file.errors.contains("secret"), "\(file.errors)")
    }

    /// What any client may send, and that no answer tells where the server keeps its files.
    @Test func routesRefuseWhatCannotBeAndTellNoPath() throws {
        let folder = workspace.path("inner")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = folder + "/p.jsonl"
        try (try lines(2) + ["{\"prompt\": 7}"]).joined(separator: "\n").write(
            toFile: file, atomically: true, encoding: .utf8)
        let model = Locations.tinyModel
        #expect(try workspace.run(["run", file, "--skip-invalid", "-o", "out"], model: model).status == 4)
        let place = try place(.port)
        let daemon = try workspace.start(["daemon", "--set", "server.listen=\(place.listen)"], model: model)
        try eventually("the server") { try remote(["list"], place).status == 0 || !daemon.isRunning }
        func curl(_ words: String...) throws -> (status: String, body: String) {
            let outcome = try RunningProgram(
                ["-s", "-w", "\n%{http_code}"] + words.dropLast() + [place.url + "ttbatch/v1/" + words.last!],
                program: "curl", environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory
            ).waitForEnd().output
            return (String(outcome.suffix(3)), String(outcome.dropLast(4)))
        }
        let host = try #require(Host.current().name)
        for path in [
            "status", "batches?drafts=true", "batches/1", "batches/1/failures", "queue/daemon", "queue/paused",
            "batches/1/results?order=input&states=succeeded,failed", "metrics/summary?incarnation=1",
            "batches/1/metrics/summary", "batches/1/another-attempt", "batches/1/recent-completions",
            "metrics?incarnation=1",
        ] {
            let answer = try curl(path)
            #expect(answer.status == "200", "\(path): \(answer.body)")
            #expect(!answer.body.contains(workspace.directory.path) && !answer.body.contains("/Golden/"), "\(path)")
            #expect(host.count < 4 || !answer.body.contains(host), "\(path)")
        }
        let frames = "Content-Type: application/x-ttbatch-files"
        for (words, status) in [
            (["batches/x"], "404"), (["batches/9"], "404"), (["batches/1/results"], "400"), (["none"], "404"),
            (["batches/1/results?order=up&states=failed"], "400"), (["metrics"], "400"), (["batches?limit=x"], "400"),
            (["-d", "x", "batches"], "400"), (["-d", "x", "batches?file=a&why=b"], "400"),
            (["-d", "x", "batches?file=a&file=b"], "400"), (["-d", "x", "batches?file=a&if_not_exists=true"], "400"),
            (["-H", "Transfer-Encoding: chunked", "-d", "x", "batches?file=a"], "411"),
            // Whole, and not what it should be: nobody gains by sending it again.
            (["-H", frames, "-d", "", "batches?file=a"], "400"),
            (["-H", frames, "-d", "abc", "batches?file=a"], "400"),
            (["-H", frames, "-d", "abcdef", "batches?file=a&file=b"], "400"),
            (["-d", "{\"prompt\": \"a\", \"model\": \"nonesuch\"}", "batches?file=a"], "400"),
            (["-d", "{\"prompt\": \"a\"}", "batches?file=a&model=nonesuch"], "404"),
            (["-X", "POST", "batches/1/cancel"], "409"),
        ] {
            let answer: (status: String, body: String)
            switch words.count {
            case 1: answer = try curl(words[0])
            case 3: answer = try curl(words[0], words[1], words[2])
            default: answer = try curl(words[0], words[1], words[2], words[3], words[4])
            }
            #expect(answer.status == status, "\(words): \(answer.body)")
            let error = try jsonObject(answer.body)["error"] as? [String: Any]
            #expect(Set(error.map { Array($0.keys) } ?? []) == ["message", "type", "param", "code"], "\(answer.body)")
            #expect(
                !answer.body.contains("Golden") && !answer.body.contains(workspace.directory.path), "\(answer.body)")
        }
        // A client without this program can enqueue, too.
        let sent = try curl("--data-binary", "@\(file)", "batches?file=p.jsonl&skip_invalid=true")
        #expect(sent.status == "200" && sent.body.contains("\"jobs\":2"), "\(sent.body)")
        try end(daemon)
    }
}

/// A port of this machine that nobody listens on.
private func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    try #require(isBound)
    return Int(UInt16(bigEndian: address.sin_port))
}
