// Reading a queue that one may only read: another user's, or a copy on a medium that cannot be written.

import Foundation
import TestSupport
import Testing

@Suite("reading another's queue")
struct ReadOnlyTests {
    private let workspace: Workspace

    init() throws {
        workspace = try Workspace()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // The reader may not see where the program was built. Copied by another process: as long as a child of this one, which
        // is being started elsewhere, has the file open for writing, nobody can run it.
        let copy = try RunningProgram(
            [Locations.program.path, workspace.path("ttbatch")], program: "cp", environment: [:],
            in: workspace.directory)
        #expect(try copy.waitForEnd().status == 0)
    }

    private var folder: String { workspace.path("queue") }
    private var database: String { folder + "/q.db" }

    private func owner(_ arguments: [String]) throws -> RunningProgram {
        try workspace.start(arguments, environment: ["TTBATCH_DB": database])
    }

    /// Runs the program as a user who may not write: as `nobody` if the tests run as root.
    private func reader(_ arguments: [String], on path: String? = nil) throws -> Outcome {
        let program = workspace.path("ttbatch")
        let who = geteuid() == 0 ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : ["env"]
        let environment = [
            "PATH": "/usr/bin:/bin", "HOME": "/", "TTBATCH_DB": path ?? database, "TTBATCH_MODEL": "none",
        ]
        return try RunningProgram(
            Array((who + [program] + arguments).dropFirst()), program: who[0], environment: environment,
            in: workspace.directory
        ).waitForEnd()
    }

    private func allow(_ mode: Int, _ files: String...) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        for name in names where files.isEmpty || files.contains(name) {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder + "/" + name)
        }
    }

    @Test func everyReadingVerbWorksAlsoWhileADaemonWorks() throws {
        let lines = try (0..<3).map { try requestLine("c\($0)", ["prompt": "ab", "max_tokens": 2]) }
        let file = try workspace.write("p.jsonl", lines: lines)
        #expect(try owner(["enqueue", file]).waitForEnd().status == 0)
        try allow(0o444)
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder) }
        let reading = [
            ["list"], ["show", "1"], ["status"], ["results", "1", "--partial"], ["list", "--json"],
        ]
        for verb in reading {
            let outcome = try reader(verb)
            #expect(outcome.status == 0, "\(verb): \(outcome.errors)")
        }
        // The owner goes on.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder)
        try allow(0o644)
        let daemon = try owner(["daemon"])
        try eventually("the end") { try reader(["list"]).output.contains("completed") }
        for verb in reading {
            let outcome = try reader(verb)
            #expect(outcome.status == 0, "\(verb): \(outcome.errors)")
        }
        #expect(try reader(["status"]).output.contains("running, process"))
        #expect(try reader(["results", "1"]).lines.count == 3)
        // Writing says what is wrong.
        for verb in [["cancel", "1"], ["pause"], ["enqueue", file], ["daemon"]] {
            let outcome = try reader(verb)
            #expect(outcome.status != 0 && outcome.output.isEmpty, "\(verb)")
        }
        #expect(try reader(["pause"]).errors.contains("cannot write \(database): Permission denied"))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    @Test func whatMayNotBeReadIsNamed() throws {
        let file = try workspace.write("p.jsonl", "{\"prompt\":\"ab\"}\n")
        #expect(try owner(["enqueue", file]).waitForEnd().status == 0)
        #expect(try owner(["daemon", "--drain"]).waitForEnd().status == 0)
        try allow(0o644)
        for name in ["q.db", "q.db-wal", "q.db-shm"] {
            try allow(0o000, name)
            let outcome = try reader(["list"])
            // Root as its own reader may read everything.
            #expect(
                outcome.status == 1 && outcome.errors.contains("\(folder)/\(name): Permission denied"), "\(outcome)")
            try allow(0o644, name)
        }
        try allow(0o000, "q.db-daemon.lock")
        let status = try reader(["status"])
        #expect(status.status == 0 && status.output.contains("daemon       unknown"), "\(status)")
        #expect(try jsonObject(reader(["status", "--json"]).output)["daemon_running"] is NSNull)
        #expect(try reader(["list"], on: folder + "/none.db").status == 6)
    }

    /// A copy of the database file alone, where nothing can be made beside it.
    @Test func aCopyIsReadWhereItLies() throws {
        let file = try workspace.write("p.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":2}\n")
        #expect(try owner(["run", file]).waitForEnd().status == 0)
        let place = workspace.path("medium ?#%")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: database, toPath: place + "/q.db")
        try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: place + "/q.db")
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: place)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: place) }
        let outcome = try reader(["results", "1"], on: place + "/q.db")
        #expect(outcome.lines.count == 1, "\(outcome.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: place) == ["q.db"])
    }
}
