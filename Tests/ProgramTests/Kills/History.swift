// A database to which things are done, most of which are killed, and the oracle beside it.

import Foundation
import TestSupport
import Testing

/// What is done to a database.
enum Deed: CaseIterable {
    case enqueue, work, stopAtWork, serve, cancel, retry, prune, backup, vacuum, export
}

/// Deeds on one database, and the log of what was acknowledged.
final class History {
    private let workspace: Workspace
    private var random: SplitMix64
    private let reproduction: String
    private var fileNumber = 0
    /// Batches whose id was printed, and their custom_ids.
    private var acknowledged: [String: [String]] = [:]
    /// Batches whose `cancel` has returned, and the results that they had then.
    private var cancelled: [String: Set<String>] = [:]
    /// Lines that `results` has printed, by batch and custom_id.
    private var exported: [String: [String: String]] = [:]
    /// Batches that had ended when something was pruned.
    private var prunable: Set<String> = []

    init(seed: UInt64, reproduction: String) throws {
        workspace = try Workspace()
        random = SplitMix64(seed: seed)
        self.reproduction = reproduction
    }

    private var comment: Comment { "repeat with: \(reproduction)" }

    func choose<Element>(_ elements: [Element]) -> Element { elements.randomElement(using: &random)! }

    // MARK: Deeds

    /// Sees to it that a deed has something to do.
    func prepare(_ deed: Deed) throws {
        switch deed {
        case .enqueue, .serve: break
        case .work, .stopAtWork: try enqueue()
        case .cancel: if try batch({ $0.status == "in_progress" }) == nil { try enqueue() }
        case .retry, .export, .prune:
            if try batch({ $0.isTerminal && $0.failed > 0 }) == nil {
                try enqueue()
                try drain()
            }
        case .backup, .vacuum: if try batches().isEmpty { try enqueue() }
        }
    }

    /// Does it, and dies at a failpoint if it comes there so often. Returns whether it did; the oracle has looked then.
    func perform(_ deed: Deed, killedAt name: String, hit: Int) throws -> Bool {
        let outcome = try run(deed, failpoints: "\(name)@\(hit)=kill")
        let isKilled = outcome.status == 128 + SIGKILL
        if !isKilled { #expect([0, 130].contains(outcome.status), "\(deed): \(outcome.errors) \(reproduction)") }
        try check()
        return isKilled
    }

    /// The failpoints that a deed comes by.
    func trace(_ deed: Deed) throws -> [String] {
        let outcome = try run(deed, failpoints: "trace=\(workspace.path("trace"))")
        #expect(outcome.status == 0, "\(deed): \(outcome.errors)")
        return try workspace.read("trace").split(separator: "\n").map(String.init)
    }

    private func run(_ deed: Deed, failpoints: String) throws -> Outcome {
        let environment = ["TTBATCH_TEST_FAILPOINTS": failpoints]
        switch deed {
        case .enqueue:
            let ids = someIDs()
            let outcome = try workspace.run("enqueue", try file(ids), environment: environment)
            // Printed is acknowledged, whatever came then.
            if let batch = outcome.lines.first { acknowledged[batch] = ids }
            return outcome
        case .work:
            let daemon = try workspace.start(Self.daemon + ["--drain"], environment: environment)
            // Sometimes others work on the same database.
            if Bool.random(using: &random) { try enqueue() }
            return try daemon.waitForEnd()
        case .stopAtWork:
            let daemon = try workspace.start(
                Self.daemon + ["--set", "daemon.grace_s=0"], environment: environment)
            try eventually("the daemon") { !daemon.isRunning || daemon.errorsSoFar.contains("is ready") }
            daemon.send(SIGTERM)
            return try daemon.waitForEnd()
        case .serve: return try serve(environment)
        case .cancel:
            let batch = try #require(try batch { $0.status == "in_progress" }).id
            let outcome = try workspace.run("cancel", batch, environment: environment)
            if outcome.status == 0 { cancelled[batch] = Set(try results(batch).filter { $0.value.text != nil }.keys) }
            return outcome
        case .retry:
            let original = try #require(try batch { $0.isTerminal && $0.failed > 0 })
            let outcome = try workspace.run("retry", original.id, environment: environment)
            if let batch = outcome.lines.first { acknowledged[batch] = Array(repeating: "", count: original.failed) }
            return outcome
        case .prune:
            prunable.formUnion(try batches().filter(\.isTerminal).map(\.id))
            return try workspace.run("db", "prune", "--older-than", "0s", environment: environment)
        case .backup:
            fileNumber += 1
            let copy = workspace.path("backup-\(fileNumber)")
            let outcome = try workspace.run("db", "backup", copy, environment: environment)
            if FileManager.default.fileExists(atPath: copy) {
                let check = try workspace.run("db", "check", "--db", copy)
                #expect(check.status == 0, "\(check.output) \(reproduction)")
            } else {
                #expect(outcome.status != 0, comment)
            }
            return outcome
        case .vacuum: return try workspace.run("db", "vacuum", environment: environment)
        case .export:
            let batch = try #require(try batch { $0.isTerminal && $0.failed > 0 })
            let target = workspace.path("results")
            try? FileManager.default.removeItem(atPath: target)
            let outcome = try workspace.run("results", batch.id, "-o", target, environment: environment)
            if let text = try? workspace.read("results") {
                #expect(try ResultLine.byID(text.split(separator: "\n").map(String.init)).count == batch.total, comment)
            }
            return outcome
        }
    }

    private static let daemon = [
        "daemon", "--set", "engine.max_num_seqs=4", "--set", "daemon.commit_interval_ms=1", "--set",
        "daemon.commit_group_size=3", "--set", "daemon.max_crashes=100000",
    ]

    /// Takes a batch over HTTP and runs it to its end.
    private func serve(_ environment: [String: String] = [:]) throws -> Outcome {
        let listen = "server.listen=unix:\(workspace.path("s"))"
        let daemon = try workspace.start(Self.daemon + ["--set", listen], environment: environment)
        if let place = try TestServer.place(of: daemon) {
            // Where a connection ends, the daemon was killed.
            do { try submit(someIDs(), at: place) } catch is EndOfConnection {} catch is POSIXError {}
        }
        daemon.send(SIGTERM)
        return try daemon.waitForEnd()
    }

    private func submit(_ ids: [String], at place: ServerPlace) throws {
        func ask(_ method: String, _ path: String, _ headers: [String] = [], body: String? = nil) throws -> [String:
            Any]
        {
            let answer = try RawConnection(place).request(method, path, headers, body: body)
            #expect(answer.status == 200, "\(answer) \(reproduction)")
            return try jsonObject(answer.body)
        }
        let file = try ask(
            "POST", "/v1/files", ["Content-Type: multipart/form-data; boundary=b"],
            body: batchForm(try ids.map(Pool.line).joined(separator: "\n")))
        let submission = [
            "input_file_id": try #require(file["id"] as? String), "endpoint": "/v1/completions",
            "completion_window": "24h",
        ]
        let batch = try ask(
            "POST", "/v1/batches",
            body: String(decoding: JSONSerialization.data(withJSONObject: submission), as: UTF8.self))
        let id = try #require(batch["id"] as? String)
        acknowledged[id] = ids
        try eventually("the end of \(id)") { try ask("GET", "/v1/batches/\(id)")["completed_at"] is Int }
    }

    private func enqueue() throws {
        let ids = someIDs()
        let outcome = try workspace.run("enqueue", try file(ids))
        #expect(outcome.status == 0, "\(outcome.errors) \(reproduction)")
        acknowledged[try #require(outcome.lines.first)] = ids
    }

    private func drain() throws {
        let outcome = try workspace.run(Self.daemon + ["--drain"])
        #expect(outcome.status == 0, "\(outcome.errors) \(reproduction)")
    }

    /// At least one that fails, and six more.
    private func someIDs() -> [String] {
        ["refused"] + Array(Pool.ids.shuffled(using: &random).prefix(6))
    }

    private func file(_ ids: [String]) throws -> String {
        fileNumber += 1
        return try workspace.write("prompts-\(fileNumber).jsonl", lines: ids.map(Pool.line))
    }

    // MARK: The oracle

    private struct Batch {
        let id: String
        let status: String
        let total: Int
        let failed: Int
        var isTerminal: Bool { ["completed", "cancelled"].contains(status) }
    }

    private func batches() throws -> [Batch] {
        // Before the first enqueue there is no database.
        let list = try workspace.run("list", "--limit", "100000", "--json")
        return try list.lines.map { line in
            let json = try jsonObject(line)
            let own = try #require(json["ttbatch"] as? [String: Any])
            let counts = try #require(json["request_counts"] as? [String: Any])
            return Batch(
                id: try #require(json["id"] as? String), status: try #require(json["status"] as? String),
                total: try #require(counts["total"] as? Int), failed: try #require(own["failed"] as? Int))
        }
    }

    private func batch(_ condition: (Batch) -> Bool) throws -> Batch? { try batches().first(where: condition) }

    private func results(_ batch: String) throws -> [String: ResultLine] {
        let lines = try workspace.run("results", batch).lines
        for line in lines {
            let id = try ResultLine(line).customID
            let before = exported[batch, default: [:]].updateValue(line, forKey: id)
            #expect(before == nil || before == line, "a result has changed; \(reproduction)")
        }
        #expect(lines.count >= exported[batch]?.count ?? 0, "a result has gone; \(reproduction)")
        return try ResultLine.byID(lines)
    }

    /// After each fault: the database agrees with itself.
    private func check() throws {
        let check = try workspace.run("db", "check")
        // Killed before there was a database.
        if check.status == 6, acknowledged.isEmpty { return }
        #expect(check.status == 0, "\(check.output)\(check.errors) \(reproduction)")
    }

    /// At the end everything is worked off, and every promise is looked at.
    func end() throws {
        let expected = try Pool.expected()
        // What was submitted to a server is validated by the next one.
        let outcome = try serve()
        #expect(outcome.status == 0, "\(outcome.errors) \(reproduction)")
        try drain()
        try check()
        var found: Set<String> = []
        for batch in try batches() {
            found.insert(batch.id)
            #expect(batch.isTerminal, "\(batch) \(reproduction)")
            let results = try results(batch.id)
            #expect(results.count == batch.total, "\(batch) \(reproduction)")
            // A batch that was not acknowledged is there as a whole: a file, or the one failed job of another batch.
            let totals = acknowledged[batch.id].map { [$0.count] } ?? [7, 1]
            #expect(totals.contains(batch.total), "\(batch) \(reproduction)")
            for (id, result) in results where result.errorCode != "batch_cancelled" {
                #expect(result.text == expected[id]?.text, "\(batch.id) \(id) \(reproduction)")
                #expect(result.errorCode == expected[id]?.errorCode, "\(batch.id) \(id) \(reproduction)")
            }
            if let kept = cancelled[batch.id] {
                #expect(batch.status == "cancelled", comment)
                #expect(Set(results.filter { $0.value.text != nil }.keys) == kept, comment)
            }
        }
        // Pruning deletes what has ended, and only that.
        #expect(Set(acknowledged.keys).subtracting(prunable).isSubset(of: found), comment)
        let drafts = try workspace.run("list", "--drafts", "--json", "--limit", "100000").lines.count
        #expect(drafts == found.count, "a draft was not swept; \(reproduction)")
    }
}

/// The prompts that histories draw from, and the model's results for them without faults.
enum Pool {
    static let ids = (0..<24).map { "job-\($0)" }

    static func line(_ id: String) throws -> String {
        var fields: [String: Any] = ["prompt": "The number \(id) is", "max_tokens": 6, "temperature": 0]
        // No token is allowed, which is seen when the job runs.
        fields["stop_token_ids"] = id == "refused" ? Array(0..<288) : nil
        fields["min_tokens"] = id == "refused" ? 2 : nil
        fields["ignore_eos"] = true
        return try requestLine(id, fields)
    }

    static func expected() throws -> [String: ResultLine] {
        let workspace = try Workspace()
        let file = try workspace.write("pool.jsonl", lines: try (ids + ["refused"]).map(line))
        return try ResultLine.byID(try workspace.run("run", file).lines)
    }
}
