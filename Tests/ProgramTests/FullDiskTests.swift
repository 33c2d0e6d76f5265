// A disk that is really full: a small filesystem in memory, on which a daemon runs out of room.

import Foundation
import TestSupport
import Testing

@Suite("A full disk", .enabled(if: canMount, "a namespace of one's own in which to mount"))
struct FullDiskTests {
    /// Waiting for room costs time and nothing else: no job fails for it, and none runs twice.
    @Test func workGoesOnWhenThereIsRoomAgain() throws {
        let workspace = try Workspace()
        let lines = try (0..<600).map {
            try requestLine("job-\($0)", ["prompt": "Number \($0) is", "max_tokens": 60, "ignore_eos": true])
        }
        let file = try workspace.write("p.jsonl", lines: lines)
        let outcome = try shell(
            """
            unshare -rm sh -e -c '
            disk=\(workspace.path("disk")); mkdir $disk; mount -t tmpfs -o size=16m none $disk
            export TTBATCH_DB=$disk/q/q.db TTBATCH_MODEL=\(Locations.tinyModel) SWIFT_BACKTRACE=enable=no
            ttbatch() { \(Locations.program.path) "$@"; }
            ttbatch enqueue \(file)
            dd if=/dev/zero of=$disk/ballast bs=1k count=16000 2>/dev/null || true
            truncate --size=-512K $disk/ballast
            ttbatch daemon --drain --set engine.max_num_seqs=4 --set daemon.commit_interval_ms=20 2>$disk/../log &
            until grep -q "free some space" $disk/../log || ! kill -0 $! 2>/dev/null; do sleep 0.02; done
            ttbatch results batch_1 --partial | grep -q batch_req && echo "some are done"
            ttbatch enqueue \(file) || echo "enqueue: $?"
            rm $disk/ballast
            wait $! && echo "daemon: $?"
            ttbatch db check | tail -n 1
            ttbatch results batch_1 >$disk/../results
            '
            """)
        #expect(outcome.output.contains("some are done\nenqueue: 75\ndaemon: 0\nverdict          ok\n"), "\(outcome)")
        let log = try workspace.read("log")
        #expect(log.contains("free some space") && log.contains("can be used again"), "\(log)")
        let results = try ResultLine.byID(try workspace.read("results").split(separator: "\n").map(String.init))
        #expect(results.count == 600)
        #expect(results.values.allSatisfy { $0.status == 200 && $0.timings?["attempt"] as? Int == 1 })
    }
}

/// Whether this user may mount filesystems in a private namespace.
private let canMount = (try? shell("unshare -rm true").status) == 0

/// Runs a command line of the shell.
private func shell(_ command: String) throws -> Outcome {
    let workspace = try Workspace()
    return try RunningProgram(
        ["-c", command], program: "/bin/sh", environment: ProcessInfo.processInfo.environment, in: workspace.directory
    ).waitForEnd()
}
