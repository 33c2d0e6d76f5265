// Runs without a queue: parts of a file, runs that go on where others were ended, and their results put together.

import Foundation
import TestSupport
import Testing

@Suite("Runs of parts")
struct PartialRunTests {
    private let workspace: Workspace
    private let prompts: String
    private static let count = 900

    init() throws {
        workspace = try Workspace()
        // Some seconds of work for one batch slot.
        let lines = try (0..<Self.count).map { number in
            let template = String(repeating: "template \(number % 3) ", count: 9)
            return try requestLine(
                "r\(number)", url: "/v1/completions",
                ["prompt": template + "\(number)", "max_tokens": 40 + number % 20, "seed": number, "temperature": 1])
        }
        prompts = try workspace.write("prompts.jsonl", lines: lines)
    }

    /// Nothing of it may be in a queue.
    private var hasQueue: Bool { FileManager.default.fileExists(atPath: workspace.database) }

    /// Starts a run that writes to `output`.
    private func start(_ output: String, _ options: [String], slowly: Bool = false) throws -> RunningProgram {
        // One prompt at a time, so that there is a middle.
        let settings = slowly ? ["--set", "engine.max_num_seqs=1"] : []
        return try workspace.start(
            ["run", prompts, "-o", output] + options + settings,
            environment: ["TMPDIR": workspace.directory.path, "TTBATCH_MODEL": Locations.tinyModel])
    }

    private func run(_ output: String, _ options: String...) throws -> Outcome {
        try start(output, options).waitForEnd()
    }

    private func texts(_ file: String) throws -> [(id: String, text: String?)] {
        let lines = try workspace.read(file).split(separator: "\n").map { try ResultLine(String($0)) }
        return lines.map { ($0.customID, $0.text) }
    }

    /// All prompts in their order, with the texts of a run in one piece.
    private func expectWhole(_ file: String) throws {
        let whole = workspace.path("whole.jsonl")
        #expect(try workspace.run("run", prompts, "-o", whole, "--db", workspace.path("whole.db")).status == 0)
        let (found, expected) = (try texts(file), try texts("whole.jsonl"))
        #expect(found.map(\.id) == (0..<Self.count).map { "r\($0)" })
        #expect(found.map(\.text) == expected.map(\.text))
    }

    /// Those of a run that has not come to its end.
    private var resultsSoFar: Int {
        ((try? workspace.read("out.jsonl.partial"))?.split(separator: "\n").count ?? 1) - 1
    }

    private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: workspace.path(name)) }

    // MARK: - Parts

    @Test func partsTogetherAreTheWhole() throws {
        let parts = try (0..<4).map { index in
            let outcome = try run("part\(index).jsonl", "--shard", "\(index)/4")
            #expect(outcome.status == 0, "\(outcome)")
            return "part\(index).jsonl"
        }
        #expect(try parts.map { try texts($0).count }.reduce(0, +) == Self.count)
        let merged = try workspace.run(["merge", prompts] + parts + ["-o", "all.jsonl"])
        #expect(merged.status == 0 && merged.errors.contains("900 results of 4 files: 900 succeeded, 0 failed"))
        try expectWhole("all.jsonl")
        let printed = try workspace.run(["merge", prompts] + parts.reversed())
        #expect(try printed.output == workspace.read("all.jsonl"))
        #expect(!hasQueue && !exists("part0.jsonl.partial"))
        let left = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        #expect(left.allSatisfy { !$0.hasPrefix("ttbatch-run") })
    }

    /// More parts than prompts: some have nothing to do, and say so with an empty file.
    @Test func aPartMayBeEmpty() throws {
        let two = try workspace.write("two.jsonl", lines: [#"{"prompt":"a"}"#, #"{"prompt":"b"}"#])
        let parts = try (0..<5).map { index in
            let outcome = try workspace.run("run", two, "--shard", "\(index)/5", "-o", "e\(index).jsonl")
            #expect(outcome.status == 0, "\(outcome)")
            return "e\(index).jsonl"
        }
        #expect(try parts.contains { try workspace.read($0).isEmpty })
        #expect(try workspace.run(["merge", two] + parts).lines.count == 2)
    }

    @Test func mergingTellsWhatIsWrong() throws {
        for index in 0..<2 { #expect(try run("p\(index).jsonl", "--shard", "\(index)/2").status == 0) }
        let missing = try workspace.run("merge", prompts, "p0.jsonl", "-o", "x.jsonl")
        #expect(missing.status == 7 && missing.errors.contains("of 900 prompts have no result: line"), "\(missing)")
        let twice = try workspace.run("merge", prompts, "p0.jsonl", "p1.jsonl", "p0.jsonl", "-o", "x.jsonl")
        #expect(twice.status == 8 && twice.errors.contains("p0.jsonl has two results"), "\(twice)")
        let other = try workspace.write("other.jsonl", lines: [#"{"prompt":"a"}"#])
        #expect(try workspace.run("run", other, "--resume", "-o", "o.jsonl").status == 0)
        let strange = try workspace.run("merge", prompts, "p0.jsonl", "p1.jsonl", "o.jsonl", "-o", "x.jsonl")
        #expect(strange.status == 3 && strange.errors.contains("1 results are of no prompt of"), "\(strange)")
        let noResults = try workspace.run("merge", prompts, prompts, "-o", "x.jsonl")
        #expect(noResults.status == 3 && noResults.errors.contains("prompts.jsonl:1: is not a result"), "\(noResults)")
        let nowhere = try workspace.run("merge", prompts, "p2.jsonl")
        #expect(nowhere.status == 6 && nowhere.errors.contains("p2.jsonl: cannot be opened"), "\(nowhere)")
        #expect(try workspace.run("merge", prompts, "p0.jsonl", "-o", "p0.jsonl").status == 2)
        #expect(!exists("x.jsonl"))
    }

    // MARK: - Runs that are ended

    /// Killed again and again, at any moment: no result is lost, none is there twice, and the texts are the same.
    @Test func killedRunsGoOn() throws {
        var kills = 0
        for pause in [200, 260, 330, 400, 520, 640, 800] {
            let program = try start("out.jsonl", ["--resume"], slowly: true)
            usleep(UInt32(pause) * 1000)
            guard program.isRunning else { break }
            program.send(SIGKILL)
            _ = try program.waitForEnd()
            kills += 1
        }
        #expect(kills > 1)
        let outcome = try run("out.jsonl", "--resume")
        #expect(outcome.status == 0 && outcome.errors.contains("900 results: 900 succeeded, 0 failed"), "\(outcome)")
        try expectWhole("out.jsonl")
        #expect(!exists("out.jsonl.partial") && !hasQueue)
        // All is done: nothing runs, and the file stays as it is.
        let before = try workspace.read("out.jsonl")
        #expect(try run("out.jsonl", "--resume").status == 0)
        #expect(try workspace.read("out.jsonl") == before)
    }

    @Test(arguments: [SIGTERM, SIGUSR1, SIGINT]) func interruptedRunsAskToBeRunAgain(signal: Int32) throws {
        let program = try start("out.jsonl", ["--shard", "0/1"], slowly: true)
        try eventually("some results") { resultsSoFar > 3 }
        program.send(signal)
        let outcome = try program.waitForEnd()
        #expect(outcome.status == 75, "\(outcome)")
        #expect(outcome.errors.contains("prompts have ended, and are in out.jsonl.partial"), "\(outcome)")
        #expect(!exists("out.jsonl"))
        let again = try run("out.jsonl", "--shard", "0/1")
        #expect(again.status == 8 && again.errors.contains("--resume goes on with it"), "\(again)")
        let rest = try run("out.jsonl", "--shard", "0/1", "--resume")
        #expect(rest.status == 0 && rest.errors.contains("of 900 prompts have results; running the others"), "\(rest)")
        try expectWhole("out.jsonl")
    }

    /// A power cut may leave anything at the end of the file that was written.
    @Test(arguments: ["{\"custom_id\":\"r1\",\"resp", "\0\0\0\0\0", "\n{}\n", ""]) func tornEndsAreDropped(end: String)
        throws
    {
        let program = try start("out.jsonl", ["--resume"], slowly: true)
        try eventually("some results") { resultsSoFar > 3 }
        program.send(SIGKILL)
        _ = try program.waitForEnd()
        let partial = try workspace.read("out.jsonl.partial")
        // Half of the last line, or something behind it.
        try workspace.write("out.jsonl.partial", end.isEmpty ? String(partial.dropLast(20)) : partial + end)
        #expect(try run("out.jsonl", "--resume").status == 0)
        try expectWhole("out.jsonl")
    }

    /// A file of which some lines were taken out is filled again.
    @Test func whatIsMissingIsRun() throws {
        #expect(try run("out.jsonl", "--resume").status == 0)
        let lines = try workspace.read("out.jsonl").split(separator: "\n")
        let some = lines.enumerated().filter { $0.offset % 3 != 1 }.map { String($0.element) }
        _ = try workspace.write("out.jsonl", lines: some)
        let outcome = try run("out.jsonl", "--resume")
        #expect(outcome.errors.contains("600 of 900 prompts have results; running the others"), "\(outcome)")
        try expectWhole("out.jsonl")
        let found = Set(try workspace.read("out.jsonl").split(separator: "\n"))
        #expect(found.isSuperset(of: some.map { Substring($0) }))
    }

    @Test func twoRunsNeverShareAFile() throws {
        let program = try start("out.jsonl", ["--resume"], slowly: true)
        try eventually("the file") { exists("out.jsonl.partial") }
        let other = try run("out.jsonl", "--resume")
        #expect(other.status == 8 && other.errors.contains("another run is writing it"), "\(other)")
        #expect(try program.waitForEnd().status == 0)
        try expectWhole("out.jsonl")
    }

    // MARK: - What cannot be gone on with

    @Test func otherPromptsAreNotMixedIn() throws {
        let program = try start("out.jsonl", ["--resume"], slowly: true)
        try eventually("some results") { resultsSoFar > 3 }
        program.send(SIGKILL)
        _ = try program.waitForEnd()
        let original = try workspace.read("prompts.jsonl")
        try workspace.write("prompts.jsonl", original.replacing("template 1", with: "another 1"))
        let changed = try run("out.jsonl", "--resume")
        #expect(changed.status == 8 && changed.errors.contains("is of another run"), "\(changed)")
        try workspace.write("prompts.jsonl", original)
        let part = try run("out.jsonl", "--resume", "--shard", "0/2")
        #expect(part.status == 8 && part.errors.contains("\"shard\":\"0/2\""), "\(part)")
        #expect(try run("out.jsonl", "--resume").status == 0)
        // A whole file is none of a part.
        let strange = try run("out.jsonl", "--resume", "--shard", "0/2")
        #expect(strange.status == 8 && strange.errors.contains("that are not in part 0/2 of"), "\(strange)")
        #expect(!exists("out.jsonl.partial"))
    }

    @Test func everyPartRefusesAFileWithAnError() throws {
        let bad = try workspace.write(
            "bad.jsonl", lines: (0..<10).map { $0 == 2 ? #"{"prompt":"x","temperature":9}"# : #"{"prompt":"\#($0)"}"# })
        for index in 0..<3 {
            let outcome = try workspace.run("run", bad, "--shard", "\(index)/3", "-o", "b\(index).jsonl")
            #expect(outcome.status == 3 && outcome.errors.contains("bad.jsonl:3:"), "\(outcome)")
            #expect(!exists("b\(index).jsonl.partial"))
        }
        // Or it is a failed job of one of them.
        let parts = try (0..<3).map { index in
            let outcome = try workspace.run(
                "run", bad, "--shard", "\(index)/3", "-o", "b\(index).jsonl", "--skip-invalid")
            #expect([0, 4].contains(outcome.status), "\(outcome)")
            return "b\(index).jsonl"
        }
        let merged = try workspace.run(["merge", bad] + parts)
        #expect(merged.errors.contains("10 results of 3 files: 9 succeeded, 1 failed"), "\(merged)")
        #expect(try ResultLine(merged.lines[2]).status == 400)
    }

    @Test(arguments: [
        (["--shard", "3/3", "-o", "x"], "I from 0 to N-1"), (["--shard", "0/3"], "-o FILE"),
        (["--resume", "-o", "x", "--format", "csv"], "--format"), (["--resume", "-o", "x", "--db", "q.db"], "--db"),
        (["--shard", "0/2", "-o", "x", "--name", "n"], "--name"), (["--resume", "-o", "/dev/null"], "need a file"),
        (["--resume", "-o", "x", "--deadline", "06:00"], "--deadline"),
        (["--resume", "-o", "prompts.jsonl"], "would replace"),
    ])
    func optionsThatDoNotFitAreRefused(options: [String], words: String) throws {
        let outcome = try workspace.run(["run", prompts] + options)
        #expect(outcome.status == 2 && outcome.errors.contains(words), "\(outcome)")
    }

    @Test func standardInputCannotBeReadTwice() throws {
        let outcome = try workspace.run("run", "-", "--shard", "0/2", "-o", "x", input: #"{"prompt":"a"}"#)
        #expect(outcome.status == 2 && outcome.errors.contains("more than once"), "\(outcome)")
    }
}
