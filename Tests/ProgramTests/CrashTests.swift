// kill -9 in the middle of a batch: every job ends exactly once, and the results are those of an undisturbed run.

import Foundation
import TestSupport
import Testing

@Suite("Crashes", .enabled(if: Locations.realModel != nil))
struct CrashTests {
    private let workspace: Workspace
    private let prompts: String

    init() throws {
        workspace = try Workspace()
        let lines = try (0..<160).map { (index: Int) -> String in
            var fields: [String: Any] = [
                "prompt": "Tell me about the number \(index)", "ignore_eos": true, "return_token_ids": true,
            ]
            fields["max_tokens"] = 24 + index % 9
            // The others are sampled, without a seed of their own.
            if index.isMultiple(of: 2) { fields["temperature"] = 0 }
            return try requestLine("job-\(index)", fields)
        }
        prompts = try workspace.write("prompts.jsonl", lines: lines)
    }

    private func finishedCount(_ batch: String) throws -> Int {
        let batch = try jsonObject(try workspace.run("show", batch, "--json").output)
        let own = try #require(batch["ttbatch"] as? [String: Any])
        return try #require(own["succeeded"] as? Int) + (try #require(own["failed"] as? Int))
    }

    /// Kills at several points of progress, one after the other, on the same batch.
    @Test func killedAgainAndAgain() throws {
        let enqueued = try workspace.run("enqueue", prompts, model: Locations.realModel)
        #expect(enqueued.status == 0, "\(enqueued.errors)")
        let batch = try #require(enqueued.lines.first)
        var finishedBefore: [String: ResultLine] = [:]
        for point in [1, 40, 80] {
            let daemon = try workspace.start(
                [
                    "daemon", "--set", "engine.max_num_seqs=8", "--set", "daemon.commit_interval_ms=20", "--set",
                    "daemon.max_crashes=100",
                ],
                model: Locations.realModel)
            try eventually("\(point) finished jobs") { try finishedCount(batch) >= point }
            daemon.send(SIGKILL)
            #expect(try daemon.waitForEnd().status == 128 + SIGKILL)
            let results = try ResultLine.byID(try workspace.run("results", batch).lines)
            #expect(results.count < 160, "the daemon must die before it is done")
            for (id, earlier) in finishedBefore {
                #expect(
                    NSDictionary(dictionary: earlier.json) == NSDictionary(dictionary: try #require(results[id]).json))
            }
            finishedBefore = results
        }
        let drained = try workspace.run("daemon", "--drain", model: Locations.realModel)
        #expect(drained.status == 0, "\(drained.errors)")
        #expect(drained.errors.contains("back in the queue"))

        let results = try ResultLine.byID(try workspace.run("results", batch).lines)
        #expect(results.count == 160)
        for (id, earlier) in finishedBefore {
            // Not run again: not even the times differ.
            #expect(NSDictionary(dictionary: earlier.json) == NSDictionary(dictionary: try #require(results[id]).json))
        }
        let undisturbed = try Workspace()
        let reference = try undisturbed.run("run", prompts, model: Locations.realModel)
        #expect(reference.status == 0, "\(reference.errors)")
        for (id, expected) in try ResultLine.byID(reference.lines) {
            #expect(results[id]?.tokenIDs == expected.tokenIDs, "\(id)")
            #expect(results[id]?.text == expected.text, "\(id)")
        }
    }

    /// An enqueue that dies leaves nothing behind.
    @Test func killedWhileEnqueuing() throws {
        let enqueue = try workspace.start(
            ["enqueue", "-"], input: String(repeating: "{\"prompt\":\"a\",\"max_tokens\":1}\n", count: 400_000))
        try eventually("a draft") {
            let drafts = try workspace.run("list", "--drafts", "--json").output
            return drafts.contains("\"validating\"")
        }
        enqueue.send(SIGKILL)
        #expect(try enqueue.waitForEnd().status == 128 + SIGKILL)
        #expect(try workspace.run("list", "--json").output == "")
        #expect(try workspace.run("daemon", "--drain", model: Locations.realModel).status == 0)
        #expect(try workspace.run("list", "--drafts", "--json").output == "")
    }
}
