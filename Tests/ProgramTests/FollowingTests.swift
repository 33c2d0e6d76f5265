// What a person sees and gets while a batch runs: progress on terminals, results as they come, interruptions.

import Foundation
import TestSupport
import Testing

@Suite("following a batch")
struct FollowingTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// Prompts that take a while each: the slots are few.
    private func prompts(_ tokens: [Int]) throws -> String {
        let lines = try tokens.enumerated().map { number, count in
            try requestLine("c\(number)", ["prompt": "ab", "max_tokens": count, "ignore_eos": true, "temperature": 0])
        }
        return try workspace.write("p.jsonl", lines: lines)
    }

    private func quoted(_ words: [String]) -> String {
        words.map { "'" + $0.replacing("'", with: "'\\''") + "'" }.joined(separator: " ")
    }

    /// The program's output to a terminal of `columns` columns.
    private func terminal(_ columns: Int, _ arguments: [String], model: String? = Locations.tinyModel) throws -> String
    {
        let command = "stty cols \(columns) rows 24; exec " + quoted([Locations.program.path] + arguments)
        let log = workspace.path("terminal-\(columns)")
        var environment = [
            "HOME": workspace.directory.path, "PATH": "/usr/bin:/bin", "TTBATCH_DB": workspace.path("\(columns).db"),
            "TERM": "xterm", "SHELL": "/bin/sh", "SWIFT_BACKTRACE": "enable=no",
        ]
        environment["TTBATCH_MODEL"] = model
        let outcome = try RunningProgram(
            ["-q", "-e", "-c", command, log], program: "script", environment: environment, in: workspace.directory
        ).waitForEnd()
        let text = try String(contentsOfFile: log, encoding: .utf8)
        #expect(outcome.status == 0, "\(text)")
        return text
    }

    @Test(.enabled(if: Locations.realModel != nil), arguments: [40, 80, 200])
    func progressFitsTheTerminalAndCountsTokensAsTheyCome(columns: Int) throws {
        let lines = try (0..<24).map { number in
            try requestLine(
                "c\(number)", ["prompt": "The story of number \(number)", "max_tokens": 400, "ignore_eos": true])
        }
        let file = try workspace.write("p.jsonl", lines: lines)
        let text = try terminal(columns, ["run", file, "-o", workspace.path("out.jsonl")], model: Locations.realModel)
        // Each drawing of the line begins with a carriage return; the last ones are lines.
        let drawings = text.split(separator: "\r\n").dropLast()[0].split(separator: "\r")
            .map { $0.replacing("\u{1B}[K", with: "") }.filter { $0.contains("done") }
        #expect(drawings.allSatisfy { $0.count < columns }, "\(drawings)")
        let early = drawings.filter { $0.contains("0/24 done") && $0.contains(" tokens/s") && $0.contains("ETA") }
        #expect(!early.isEmpty, "\(drawings)")
        if columns >= 80 {
            #expect(early.contains { $0.contains("24 running, 0 waiting") }, "\(early)")
        }
        #expect(early.allSatisfy { $0.hasPrefix("[") } == (columns == 200))
    }

    @Test func resultsComeInOrderAsFarAsTheyHaveCome() throws {
        // The first one is the longest.
        let file = try prompts([200] + Array(repeating: 4, count: 40) + [200])
        let flags = ["--set", "engine.max_num_seqs=2"]
        let run = try workspace.run(["run", file] + flags)
        #expect(run.status == 0)
        #expect(try run.lines.map { try ResultLine($0).customID } == (0..<42).map { "c\($0)" })
        let asTheyEnd = try workspace.run(["run", file, "--order", "completion"] + flags)
        let ids = try asTheyEnd.lines.map { try ResultLine($0).customID }
        #expect(Set(ids).count == 42 && ids.count == 42)
        // Which ended first the store knows; on a busy machine even the longest may.
        let stored = try workspace.run("results", "2", "--order", "completion").lines
        #expect(asTheyEnd.lines == stored)
    }

    /// The reader has the first results while others still run.
    @Test func resultsAreReadWhileTheBatchRuns() throws {
        let file = try prompts([4] + Array(repeating: 240, count: 2_000))
        for order in ["input", "completion"] {
            let run = try workspace.start(["run", file, "--order", order, "--set", "engine.max_num_seqs=2"])
            try eventually("the first result") { run.outputSoFar.contains("\n") }
            #expect(run.isRunning)
            let seen = run.outputSoFar.split(separator: "\n")
            #expect(try ResultLine(String(seen[0])).customID == "c0")
            run.send(SIGINT)
            try eventually("the first words") { run.errorsSoFar.contains("finishing") }
            run.send(SIGINT)
            let outcome = try run.waitForEnd()
            #expect(outcome.status == 130)
        }
    }

    @Test func interruptionsSayWhatTheyLeadTo() throws {
        let file = try prompts(Array(repeating: 240, count: 2_000))
        let run = try workspace.start(["run", file, "--set", "engine.max_num_seqs=2"])
        try eventually("work") { try workspace.run("status", "--json").output.contains("\"running_jobs\":4") }
        run.send(SIGINT)
        try eventually("words") { run.errorsSoFar.contains("press again to put them back") }
        #expect(run.errorsSoFar.contains("up to 30"))
        run.send(SIGINT)
        let outcome = try run.waitForEnd()
        #expect(outcome.status == 130, "\(outcome.errors)")
        #expect(outcome.errors.contains("`ttbatch results batch_1 --partial` prints them"))
        #expect(outcome.errors.contains("`ttbatch daemon --drain` goes on with the rest"))

        let daemon = try workspace.start(["daemon", "--set", "engine.max_num_seqs=2"])
        try eventually("work") { try workspace.run("status", "--json").output.contains("\"running_jobs\":4") }
        daemon.send(SIGTERM)
        try eventually("words") { daemon.errorsSoFar.contains("signal again to put them back") }
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test func waitEndsWithTheBatchAndTellsHow() throws {
        #expect(try workspace.run("wait", "batch_1").status == 6)
        let file = try prompts([4, 4])
        // With every token forbidden, which is not noticed before the job runs.
        let forbidden: [String: Any] = ["prompt": "ab", "min_tokens": 2, "stop_token_ids": Array(0..<288)]
        let bad = try workspace.write("bad.jsonl", lines: [requestLine("x", forbidden)])
        #expect(try workspace.run("enqueue", file, "--name", "good").status == 0)
        #expect(try workspace.run("enqueue", bad).status == 0)
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("cancel", "3").status == 0)
        let early = try workspace.run("results", "good")
        #expect(early.status == 7 && early.output.isEmpty)
        #expect(try workspace.run("results", "good", "-o", workspace.path("none.jsonl")).status == 7)
        #expect(!FileManager.default.fileExists(atPath: workspace.path("none.jsonl")))
        #expect(try workspace.run("results", "good", "--partial").status == 0)

        let waiting = try workspace.start(["wait", "good", "2"])
        let results = try workspace.start(["results", "good", "--wait", "-o", workspace.path("out.jsonl")])
        try eventually("words") { waiting.errorsSoFar.contains("no daemon is running") }
        #expect(try workspace.run("daemon", "--drain").status == 0)
        let waited = try waiting.waitForEnd()
        #expect(waited.status == 4 && waited.errors.contains("batch_2: 0 succeeded, 1 failed"), "\(waited.errors)")
        #expect(try results.waitForEnd().status == 0)
        #expect(try workspace.read("out.jsonl").split(separator: "\n").count == 2)
        #expect(try workspace.run("wait", "good").status == 0)
        #expect(try workspace.run("wait", "3").status == 5)
        #expect(try workspace.run("wait").status == 2)
    }

    /// Every verb that takes a batch takes its name.
    @Test func aNameIsAsGoodAsAnId() throws {
        let file = try prompts([2, 2])
        #expect(try workspace.run("enqueue", file, "--name", "my night").status == 0)
        for verb in [["pause"], ["resume"], ["show"], ["results", "--partial"]] {
            #expect(try workspace.run(verb + ["my night"]).status == 0, "\(verb)")
        }
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try workspace.run("results", "my night").lines.count == 2)
        #expect(try workspace.run("wait", "my night").status == 0)
        #expect(try workspace.run("list", "--before", "my night").status == 0)
        #expect(try workspace.run("enqueue", file, "--name", "other").status == 0)
        #expect(try workspace.run("cancel", "other").status == 0)
        #expect(try workspace.run("retry", "other", "--state", "cancelled").output == "batch_3\n")
        let unknown = try workspace.run("show", "nights")
        #expect(unknown.status == 6 && unknown.errors.contains("\"nights\""))
        // A name that looks like an id would be another batch.
        #expect(try workspace.run("enqueue", file, "--name", "batch_1").status == 2)
        #expect(try workspace.run("enqueue", file, "--name", "12").status == 2)
    }

    @Test func enqueueSaysThatNobodyWillWork() throws {
        let file = try prompts([2])
        let alone = try workspace.run("enqueue", file, file)
        #expect(alone.status == 0)
        #expect(alone.errors.components(separatedBy: "no daemon is running").count == 2, "\(alone.errors)")
        #expect(try workspace.run("enqueue", "-q", file).errors == "")
        let daemon = try workspace.start(["daemon"])
        try eventually("the daemon") { try workspace.run("status").output.contains("running, process") }
        #expect(try workspace.run("enqueue", file).errors == "")
        daemon.send(SIGTERM)
        _ = try daemon.waitForEnd()
    }

    @Test func whatCannotBeWrittenIsInTheDatabase() throws {
        let outcome = try workspace.run(["run", try prompts([2, 2])], outputPath: "/dev/full")
        #expect(outcome.status == 75)
        #expect(outcome.errors.contains("`ttbatch results batch_1 -o FILE`"), "\(outcome.errors)")
        #expect(try workspace.run("results", "batch_1").lines.count == 2)
    }

    /// A program that was killed leaves its half of a file; the next one that writes the file takes it away.
    @Test func unfinishedFilesAreSwept() throws {
        #expect(try workspace.run("run", try prompts([2]), "-o", workspace.path("out [1].jsonl")).status == 0)
        try workspace.write("out [1].jsonl.12345.part", "half")
        try workspace.write("out [1].jsonl.mine.part", "another thing")
        try workspace.write("out 1.jsonl.12345.part", "another file's")
        let busy = open(try workspace.write("out [1].jsonl.12346.part", "half"), O_RDONLY)
        defer { close(busy) }
        #expect(flock(busy, LOCK_EX | LOCK_NB) == 0)
        #expect(try workspace.run("results", "1", "-o", workspace.path("out [1].jsonl")).status == 0)
        let left = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
            .filter { $0.hasSuffix(".part") }.sorted()
        #expect(left == ["out 1.jsonl.12345.part", "out [1].jsonl.12346.part", "out [1].jsonl.mine.part"])
    }

    @Test func textOnATerminalCannotSteerIt() throws {
        let id = "a\u{1B}[31m\u{9B}2J"
        let file = try workspace.write("p.jsonl", lines: [requestLine(id, ["prompt": "ab", "max_tokens": 2])])
        let text = try terminal(80, ["run", file, "--format", "text"])
        #expect(!text.contains("\u{1B}[31m") && !text.unicodeScalars.contains("\u{9B}"))
        #expect(text.contains("\u{FFFD}"))
        // A file gets what there is.
        let plain = try workspace.run("run", file, "--format", "csv")
        #expect(plain.output.contains("\u{1B}[31m"))
    }

    // MARK: Pauses, names of files, terminals that close

    /// A pause is no failure: what waits for its end stays.
    @Test func aPausedRunStaysInTheQueue() throws {
        let file = try prompts([2, 2])
        #expect(try workspace.run("enqueue", file).status == 0)
        #expect(try workspace.run("pause").status == 0)
        let run = try workspace.run("run", file)
        #expect(run.status == 8 && run.errors.contains("paused: `ttbatch resume` lets it go on"), "\(run.errors)")
        #expect(run.errors.contains("batch_2: 0 of 2 prompts have ended") && !run.errors.contains("cancelled"))
        #expect(try workspace.run("resume").status == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try workspace.run("results", "2").lines.count == 2)
    }

    @Test func linksAreFollowedAndModesAreKept() throws {
        #expect(try workspace.run("run", try prompts([2])).status == 0)
        try workspace.write("target", "old")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: workspace.path("target"))
        try FileManager.default.createSymbolicLink(atPath: workspace.path("link"), withDestinationPath: "target")
        #expect(try workspace.run("results", "1", "-o", workspace.path("link")).status == 0)
        #expect(try workspace.read("target").contains("custom_id"))
        let attributes = try FileManager.default.attributesOfItem(atPath: workspace.path("target"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: workspace.path("link"))) == "target")
        // Another name of standard output.
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path("stdout"), withDestinationPath: "/proc/self/fd/1")
        #expect(try workspace.run("results", "1", "-o", workspace.path("stdout")).lines.count == 1)
        #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: workspace.path("stdout"))) != nil)
    }

    @Test func databasesAndModelsAreNotReplaced() throws {
        let file = try prompts([2])
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: workspace.path("model.gguf"))
        for target in [workspace.database, workspace.path("model.gguf"), ""] {
            #expect(try workspace.run("run", file).status == 0)
            let run = try workspace.run("run", file, "-o", target)
            let results = try workspace.run("results", "1", "-o", target)
            #expect(run.status == 2 && results.status == 2, "\(run.errors)\(results.errors)")
        }
        #expect(try workspace.run("db", "check").status == 0)
        #expect(
            try workspace.run("list", "--json").lines.count == 3, "nothing was stored for a run that cannot end well")
    }

    /// Started with nohup, it outlives the terminal.
    @Test func nohupHolds() throws {
        let file = try prompts(Array(repeating: 200, count: 300))
        let run = try RunningProgram(
            ["-c", "trap '' HUP; exec '\(Locations.program.path)' run p.jsonl --set engine.max_num_seqs=2"],
            program: "sh",
            environment: [
                "PATH": "/usr/bin:/bin", "TTBATCH_DB": workspace.database, "TTBATCH_MODEL": Locations.tinyModel,
                "SWIFT_BACKTRACE": "enable=no",
            ], in: workspace.directory)
        _ = file
        try eventually("work") { run.outputSoFar.contains("custom_id") }
        run.send(SIGHUP)
        let outcome = try run.waitForEnd()
        #expect(outcome.status == 0 && outcome.lines.count == 300, "\(outcome.errors)")
    }

    @Test func whatIsCancelledIsCalledSo() throws {
        let run = try workspace.start(
            ["run", try prompts(Array(repeating: 240, count: 2_000)), "--set", "engine.max_num_seqs=2"])
        try eventually("work") { try workspace.run("status", "--json").output.contains("\"running_jobs\":4") }
        #expect(try workspace.run("cancel", "1").status == 0)
        let outcome = try run.waitForEnd()
        #expect(outcome.status == 5 && outcome.errors.contains(" cancelled"), "\(outcome.errors)")
        #expect(!outcome.errors.contains("0.0 tokens/s"))
    }
}
