// Requests of many megabytes go in and out without being in memory all at once.

import Foundation
import TestSupport
import Testing

@Suite("Wide rows")
struct WideRowTests {
    /// 60 requests of 10 MB each: 600 MB of input. All are too long for the model, so that each ends at once.
    @Test func tenMegabytesALineWithBoundedMemory() throws {
        let workspace = try Workspace()
        let file = workspace.path("wide.jsonl")
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        let handle = try FileHandle(forWritingTo: URL(filePath: file))
        let tokens = String(repeating: "17,", count: 3_300_000) + "17"
        for number in 0..<60 {
            try handle.write(
                contentsOf: Data("{\"custom_id\":\"w\(number)\",\"prompt\":[\(tokens)],\"max_tokens\":4}\n".utf8))
        }
        try handle.close()

        func peak(_ arguments: [String]) throws -> Int {
            let program = try workspace.start(arguments)
            var peak = 0
            while program.isRunning {
                peak = max(peak, program.peakMemory ?? 0)
                usleep(5000)
            }
            let outcome = try program.waitForEnd()
            #expect([0, 4].contains(outcome.status), "\(arguments): \(outcome.errors)")
            return peak
        }
        // A longer model is at the same place when they are enqueued, since they would be refused then already.
        let model = try workspace.model(contextLength: 4_000_000)
        for verb in [
            ["enqueue", file, "--model", model], ["daemon", "--drain"], ["retry", "batch_1"],
            ["results", "batch_1", "-o", workspace.path("r")],
            ["cancel", "batch_2"], ["db", "prune", "--older-than", "0s"],
        ] {
            let bytes = try peak(verb)
            #expect(bytes < 500_000_000, "\(verb): \(bytes) bytes")
            if verb[0] == "enqueue" {
                try Data(contentsOf: URL(filePath: Locations.tinyModel)).write(to: URL(filePath: model))
            }
        }
        let wal = try FileManager.default.attributesOfItem(atPath: workspace.database + "-wal")[.size] as? Int
        #expect(try #require(wal) < 300_000_000)
        #expect(try workspace.run("db", "check").status == 0)
    }
}
