// `ttbatch db copy`: a queue goes from SQLite to PostgreSQL and back, whole or not at all.

import Foundation
import TestSupport
import Testing

@Suite("Copies of queues by the program")
struct QueueCopyTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// A queue with a batch that has ended and one that has not.
    private func fill() throws -> [String] {
        let file = try workspace.write(
            "p.jsonl", lines: (1...5).map { #"{"custom_id":"p\#($0)","prompt":"ab \u0000 \#($0)","max_tokens":2}"# })
        #expect(try workspace.run("enqueue", file, "--name", "first").status == 0)
        #expect(try workspace.run("daemon", "--drain").status == 0)
        #expect(try workspace.run("enqueue", file, "--name", "second", "--priority", "3").output == "batch_2\n")
        return try workspace.run("results", "first").lines
    }

    private func copy(_ from: String, _ to: String, environment: [String: String] = [:]) throws -> Outcome {
        try workspace.run("db", "copy", from, to, environment: environment)
    }

    private func batches(_ database: String) throws -> String {
        try workspace.run("list", "--json", "--db", database).output
    }

    /// Without the ids, which are the store's own.
    private func contents(_ lines: [String]) throws -> [NSDictionary] {
        try lines.map { line in
            var object = try jsonObject(line)
            object["id"] = nil
            if var response = object["response"] as? [String: Any] {
                response["request_id"] = nil
                if var body = response["body"] as? [String: Any] {
                    body["id"] = nil
                    response["body"] = body
                }
                object["response"] = response
            }
            return object as NSDictionary
        }
    }

    @Test(.enabled(if: PostgresServer.programs != nil))
    func aQueueGoesToPostgresAndBack() throws {
        let results = try fill()
        let server = try PostgresServer()
        let there = try copy(workspace.database, server.uri())
        #expect(there.status == 0 && there.output == "", "\(there.errors)")
        #expect(there.errors.contains("copied 2 batches with 10 jobs to postgres://"))
        let copy = workspace.path("back.db")
        let back = try self.copy(server.uri(), copy)
        #expect(back.status == 0, "\(back.errors)")
        #expect(try batches(copy) == batches(workspace.database))
        let found = try workspace.run("results", "first", "--db", copy).lines
        #expect(try contents(found) == contents(results) && found.count == 5)
        #expect(try workspace.run("db", "check", "--db", copy).status == 0)
        // The work goes on there.
        #expect(try workspace.run("daemon", "--drain", "--db", copy).status == 0)
        #expect(try workspace.run("results", "second", "--db", copy).lines.count == 5)
        #expect(try workspace.run("enqueue", workspace.path("p.jsonl"), "--db", copy).output == "batch_3\n")
        // Both ends are what they were.
        let again = try self.copy(workspace.database, server.uri())
        #expect(again.status == 8 && again.errors.contains("is not empty, it has 2 batches"), "\(again.errors)")
    }

    /// Whatever was written before the last moment is gone.
    @Test func aCopyThatIsKilledHasLeftNothing() throws {
        _ = try fill()
        let copy = workspace.path("copy.db")
        let killed = try self.copy(
            workspace.database, copy, environment: ["TTBATCH_TEST_FAILPOINTS": "copy.committing@1=kill"])
        #expect(killed.status != 0 && killed.output == "")
        #expect(try batches(copy) == "")
        let again = try self.copy(workspace.database, copy)
        #expect(again.status == 0, "\(again.errors)")
        #expect(try batches(copy) == batches(workspace.database))
    }

    @Test func whatCannotBeIsSaid() throws {
        _ = try fill()
        let same = try copy(workspace.database, workspace.path("./queue.db"))
        #expect(same.status == 8 && same.errors.contains("cannot be copied to itself"), "\(same.errors)")
        let missing = try copy(workspace.path("nothing.db"), workspace.path("new.db"))
        #expect(missing.status == 6, "\(missing.errors)")
        #expect(!FileManager.default.fileExists(atPath: workspace.path("nothing.db")))
        #expect(!FileManager.default.fileExists(atPath: workspace.path("new.db")))
        // Passwords stay where they are, also where the address is none or nobody answers.
        for address in ["postgre://me:secret@host/q", "mysql://me:secret@host/q"] {
            let outcome = try copy(workspace.database, address)
            #expect(outcome.status == 2 && outcome.errors.contains("is no path"), "\(outcome.errors)")
            #expect(!outcome.errors.contains("secret") && !outcome.output.contains("secret"))
        }
        let nobody = try copy(workspace.database, "postgres://me:secret@127.0.0.1:1/q?connect_timeout=2")
        #expect(nobody.status != 0 && !nobody.errors.contains("secret"), "\(nobody.errors)")
    }

    @Test func aQueueOfARunningDaemonIsRefused() throws {
        _ = try fill()
        let daemon = try workspace.start(["daemon"])
        try eventually("the daemon") {
            try jsonObject(workspace.run("status", "--json").output)["daemon_running"] as? Bool == true
        }
        let outcome = try copy(workspace.database, workspace.path("new.db"))
        #expect(outcome.status == 8 && outcome.errors.contains("already owns"), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: workspace.path("new.db")))
        daemon.send(SIGTERM)
        _ = try daemon.waitForEnd()
        #expect(try copy(workspace.database, workspace.path("new.db")).status == 0)
    }
}
