// etc/slurm and etc/kubernetes: what a task of a job array runs, with what the clusters give it.

import Foundation
import TestSupport
import Testing

@Suite("Job arrays")
struct JobArrayTests {
    private let workspace: Workspace

    init() throws {
        workspace = try Workspace()
        try FileManager.default.createDirectory(
            atPath: workspace.path("bin"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path("bin/ttbatch"), withDestinationPath: Locations.program.path)
        // Some seconds of work for one batch slot.
        let prompts = (0..<1200).map { #"{"custom_id":"r\#($0)","prompt":"number \#($0)","max_tokens":50}"# }
        _ = try workspace.write("prompts.jsonl", lines: prompts)
    }

    private func example(_ path: String) throws -> String {
        try String(contentsOf: Locations.repository.appending(path: path), encoding: .utf8)
    }

    /// Makes a program that tasks find on their PATH.
    private func program(_ name: String, _ text: String) throws {
        let path = try workspace.write("bin/\(name)", "#!/bin/sh\n" + text)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    private func start(_ shell: [String], _ variables: [String: String]) throws -> RunningProgram {
        try RunningProgram(
            Array(shell.dropFirst()), program: shell[0],
            environment: [
                "HOME": workspace.directory.path, "PATH": workspace.path("bin") + ":/usr/bin:/bin",
                "TMPDIR": workspace.directory.path, "TTBATCH_MODEL": Locations.tinyModel,
                "TTBATCH_ENGINE_MAX_NUM_SEQS": "1",
            ].merging(variables) { $1 }, in: workspace.directory)
    }

    private func results(_ file: String) -> Int {
        (try? workspace.read(file).split(separator: "\n").count) ?? 0
    }

    private func expectWhole(_ parts: [String]) throws {
        let merged = try workspace.run(["merge", "prompts.jsonl"] + parts)
        #expect(merged.status == 0 && merged.lines.count == 1200, "\(merged)")
    }

    @Test func slurmTasksAskToBeQueuedAgain() throws {
        // srun gives its signals to the program.
        try program("srun", #"exec "$@""#)
        try program("scontrol", #"echo "$@" >> "$HOME/queued""#)
        let script = try workspace.write("array.sbatch", try example("etc/slurm/ttbatch-array.sbatch"))
        func task(_ index: Int, _ more: [String: String] = [:]) throws -> RunningProgram {
            try start(
                ["/bin/bash", script, "prompts.jsonl", "out", "2"],
                ["SLURM_ARRAY_TASK_ID": "\(index)", "SLURM_ARRAY_JOB_ID": "17"].merging(more) { $1 })
        }
        // Slow enough to be still at work when the signal comes.
        let first = try task(0, ["TTBATCH_TEST_FAILPOINTS": "writer.ended=pause:50"])
        try eventually("some results") { results("out/part-0.jsonl.partial") > 2 }
        try program("ended", #"pkill -USR1 -f "out/part-0.jsonl""#)
        _ = try start([workspace.path("bin/ended")], [:]).waitForEnd()
        #expect(try first.waitForEnd().status == 75)
        #expect(try workspace.read("queued") == "requeue 17_0\n")
        for index in 0..<2 { #expect(try task(index).waitForEnd().status == 0) }
        #expect(try workspace.read("queued") == "requeue 17_0\n")
        try expectWhole(["out/part-0.jsonl", "out/part-1.jsonl"])
        #expect(try start(["/bin/bash", script, "prompts.jsonl", "out"], [:]).waitForEnd().status == 64)
    }

    @Test func kubernetesPodsEndInTime() throws {
        let text = try example("etc/kubernetes/ttbatch-job.yaml")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let block = lines.drop { !$0.hasSuffix("- |") }.dropFirst().prefix { $0.hasPrefix("              ") }
        let script = block.map { $0.dropFirst(14) }.joined(separator: "\n")
            .replacing("/data", with: workspace.directory.path).replacing("/8\"", with: "/2\"")
        func pod(_ index: Int) throws -> RunningProgram {
            try start(["/bin/sh", "-c", script], ["JOB_COMPLETION_INDEX": "\(index)"])
        }
        let first = try pod(0)
        try eventually("some results") { results("results/part-0.jsonl.partial") > 2 }
        first.send(SIGTERM)
        #expect(try first.waitForEnd().status == 75)
        for index in 0..<2 { #expect(try pod(index).waitForEnd().status == 0) }
        try expectWhole(["results/part-0.jsonl", "results/part-1.jsonl"])
        // A line that is wrong ends the whole job: the policy names this code.
        _ = try workspace.write("prompts.jsonl", lines: [#"{"prompt":"a"}"#, "{}", #"{"prompt":"b"}"#])
        try FileManager.default.removeItem(atPath: workspace.path("results"))
        #expect(try pod(0).waitForEnd().status == 3)
        #expect(text.contains("values: [75]") && text.contains("values: [2, 3]"))
    }
}
