// A million prompts: memory stays flat, and the questions that people ask are answered.

import Foundation
import TestSupport
import Testing

@Suite("A million prompts")
struct ScaleTests {
    @Test func enqueuingStreamsWithFlatMemory() throws {
        let workspace = try Workspace()
        let file = workspace.path("million.jsonl")
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        for thousand in 0..<1000 {
            var lines = ""
            for number in thousand * 1000..<(thousand + 1) * 1000 {
                lines += "{\"custom_id\":\"job-\(number)\",\"prompt\":\"Number \(number) is\",\"max_tokens\":4}\n"
            }
            try handle.write(contentsOf: Data(lines.utf8))
        }
        try handle.close()

        let enqueue = try workspace.start(["enqueue", file])
        var peak = 0
        while enqueue.isRunning {
            peak = max(peak, enqueue.peakMemory ?? 0)
            usleep(10_000)
        }
        let outcome = try enqueue.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "batch_1\n")
        #expect(peak > 0 && peak < 200_000_000, "\(peak) bytes")

        let shown = try jsonObject(try workspace.run("show", "batch_1", "--json").output)
        #expect((shown["request_counts"] as? [String: Any])?["total"] as? Int == 1_000_000)
        #expect(try workspace.run("list").lines.count == 2)
        let status = try jsonObject(try workspace.run("status", "--json").output)
        #expect(status["pending_jobs"] as? Int == 1_000_000)
    }
}
