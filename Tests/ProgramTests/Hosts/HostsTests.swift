// Daemons that share a queue: their server, their folders, their clocks, and who is to blame for deaths.

import Foundation
import TestSupport
import Testing

/// Debian's library that fakes clocks; `etc/test` installs it.
private let fakeClock: String? = ((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? [])
    .map { "/usr/lib/\($0)/faketime/libfaketimeMT.so.1" }.first { FileManager.default.fileExists(atPath: $0) }

@Suite("Several hosts", .enabled(if: PostgresServer.programs != nil))
struct HostsTests {
    private let server: PostgresServer
    private let queue: SharedQueue

    init() throws {
        server = try PostgresServer()
        queue = try SharedQueue(on: server)
    }

    private func enqueue(_ count: Int = 8) throws -> String {
        try queue.enqueue(try NightJobs.ids.prefix(count).map(NightJobs.line))
    }

    private func judge(_ batch: String) throws {
        let expected = try NightJobs.expected()
        for (id, result) in try queue.results(batch) {
            #expect(result.text == expected[id]?.text && result.text != nil, "\(id): \(result.json)")
        }
        try queue.check()
    }

    /// It waits, and says for whom.
    @Test func aServerThatIsAwayAtTheStartIsWaitedFor() throws {
        let batch = try enqueue()
        let address = queue.uri().replacing("tests@", with: "tests:secret@")
        let daemon = try HostDaemon(1, of: queue, at: address)
        try server.stop()
        try daemon.start()
        try daemon.says(server.socketFolder.replacing("/", with: "%2F"))
        try daemon.says("the daemon waits for it")
        try server.start()
        try judge(batch)
        #expect(!daemon.log.contains("secret"), "\(daemon.log)")
        try daemon.stop()
    }

    @Test func aSecondDaemonWithTheSameFolderIsRefused() throws {
        let first = try HostDaemon(1, of: queue)
        let second = try HostDaemon(1, of: queue)
        try first.begin()
        try second.start()
        let refusal = try second.program.waitForEnd()
        #expect(refusal.status == 8, "\(refusal)")
        #expect(refusal.errors.contains(queue.workspace.path("host-1")), "\(refusal.errors)")
        #expect(refusal.errors.contains("\(first.program.process)"), "\(refusal.errors)")
        try judge(try enqueue())
        try first.stop()
    }

    /// What it says names the server and where a password is taken from, never the password.
    @Test func aWrongPasswordIsNamedAndNotShown() throws {
        try server.sql("CREATE ROLE worker LOGIN PASSWORD 'correct-horse'")
        try queue.sql("GRANT ALL ON SCHEMA public TO worker")
        let access = try String(contentsOfFile: server.accessFile, encoding: .utf8)
        try ("local all worker scram-sha-256\n" + access).write(
            toFile: server.accessFile, atomically: false, encoding: .utf8)
        try server.sql("SELECT pg_reload_conf()")
        let place = server.socketFolder.replacing("/", with: "%2F")
        func address(_ user: String) -> String { "postgres://\(user)@\(place)/\(queue.name)" }
        func list(_ address: String, _ environment: [String: String] = [:]) throws -> Outcome {
            try queue.workspace.run(
                "list", environment: environment.merging(["TTBATCH_DB": address]) { $1 })
        }
        let wrong = try list(address("worker:battery-staple"))
        #expect(wrong.status != 0 && wrong.errors.contains(place), "\(wrong)")
        #expect(wrong.errors.contains("~/.pgpass"), "\(wrong)")
        #expect(!(wrong.errors + wrong.output).contains("battery-staple"), "\(wrong)")
        let none = try list(address("worker"))
        #expect(none.status != 0 && none.errors.contains("the server wants a password"), "\(none)")

        try queue.workspace.write(".pgpass", "*:*:*:worker:correct-horse\n")
        chmod(queue.workspace.path(".pgpass"), 0o600)
        let enqueued = try queue.workspace.run(
            "enqueue", "-q", try queue.workspace.write("p.jsonl", lines: NightJobs.ids.prefix(3).map(NightJobs.line)),
            environment: ["TTBATCH_DB": address("worker")])
        #expect(enqueued.status == 0, "\(enqueued)")

        // A daemon waits for the password as for the server, since both may come.
        let daemon = try HostDaemon(1, of: queue, at: address("worker:battery-staple"))
        try daemon.start()
        try daemon.says("~/.pgpass")
        #expect(!daemon.log.contains("battery-staple"), "\(daemon.log)")
        try daemon.kill()
        let other = try HostDaemon(2, of: queue, at: address("worker"))
        try other.start()
        _ = try queue.workspace.run("results", "1", environment: ["TTBATCH_DB": address("worker")])
        try eventually("the results") {
            try list(address("worker"), [:]).output.contains("completed")
        }
        try other.stop()
    }

    /// With clocks ten hours apart both hosts work, nobody is declared dead, and a deadline is where the server sees it.
    @Test(.enabled(if: fakeClock != nil)) func clocksMayDiffer() throws {
        let daemons = try [(1, "+5h"), (2, "-5h")].map { number, offset in
            try HostDaemon(
                number, of: queue, ["daemon.dead_after_s=2", "daemon.commit_interval_ms=20"],
                environment: [
                    // What measures lengths of time goes on as it is.
                    "LD_PRELOAD": fakeClock!, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:50,writer.ended=pause:20",
                ])
        }
        for daemon in daemons { try daemon.begin() }
        let file = try queue.workspace.write("p.jsonl", lines: NightJobs.ids.map(NightJobs.line))
        let batch = try #require(try queue.done("enqueue", "-q", file, "--window", "30m").first)
        try judge(batch)
        let hosts = try queue.hosts()
        #expect(hosts.count == 2 && hosts.allSatisfy { $0["state"] as? String == "running" }, "\(hosts)")
        #expect(hosts.allSatisfy { abs($0["silent_ms"] as? Int ?? .max) < 60_000 }, "\(hosts)")
        // All times are the server's.
        #expect(
            try queue.sql(
                """
                SELECT count(*) FROM results WHERE abs(finished_ms - extract(epoch FROM now()) * 1000) > 600000
                """) == "0")
        #expect(try queue.sql("SELECT count(DISTINCT incarnation) FROM results") == "2")
        // What is late by the server's clock is late for all.
        let late = try #require(try queue.done("enqueue", "-q", file, "--window", "1s", "--priority", "-5").first)
        let results = try queue.results(late)
        #expect(results.count == NightJobs.ids.count)
        for daemon in daemons { try daemon.stop() }
        try queue.check()
    }

    /// A daemon that polls every ten minutes hears at once what people do.
    @Test func whatPeopleDoIsHeardWithoutThePoll() throws {
        let daemon = try HostDaemon(1, of: queue, ["daemon.poll_interval_ms=600000"])
        try daemon.begin()
        try judge(try enqueue())
        try queue.done("pause")
        let waiting = try enqueue()
        let cancelled = try enqueue()
        try queue.done("cancel", cancelled)
        #expect(try queue.run("results", waiting).status == 7)
        try queue.done("resume")
        try judge(waiting)
        #expect(try queue.results(cancelled).values.allSatisfy { $0.errorCode == "batch_cancelled" })
        let number = try #require(try queue.hosts().first?["incarnation"] as? Int)
        try queue.done("hosts", "drain", "\(number)")
        try daemon.says("takes no more jobs")
        let later = try enqueue()
        try queue.done("hosts", "resume", "\(number)")
        try judge(later)
        try daemon.stop()
    }

    /// Whoever cancels may lose the server half-way: daemons that run do the rest.
    @Test func aCancelThatWasCutShortIsCompleted() throws {
        let daemon = try HostDaemon(1, of: queue)
        try daemon.begin()
        try queue.done("pause")
        let batch = try enqueue()
        try queue.sql(
            "UPDATE counters SET status = 'cancelling', ready = 0 WHERE batch_id = \(batch.filter(\.isNumber))")
        #expect(try queue.results(batch).values.map(\.errorCode) == Array(repeating: "batch_cancelled", count: 8))
        try queue.check()
        try daemon.stop()
    }

    /// Also one whose lives are declared dead as soon as they begin.
    @Test func aDaemonThatAlwaysDiesCanBeStopped() throws {
        _ = try enqueue(1)
        try queue.sql(
            """
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.declared_dead_ms := 1; RETURN NEW; END $$;
            CREATE TRIGGER dying BEFORE INSERT ON daemons FOR EACH ROW EXECUTE FUNCTION die()
            """)
        let daemon = try HostDaemon(1, of: queue)
        try daemon.start()
        try daemon.says("was declared dead")
        try daemon.stop()
    }

    /// With --drain a daemon stays for what others have in flight: it does the prompts of one that is gone.
    @Test func aDrainIsNotOverWhileOthersHavePrompts() throws {
        let settings = ["daemon.dead_after_s=2"]
        let first = try HostDaemon(
            1, of: queue, settings, environment: ["TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:600000"])
        try first.begin()
        let batch = try enqueue(2)
        try eventually("the prompts of host 1") { try queue.hosts().first?["running_jobs"] as? Int == 2 }
        first.program.send(SIGSTOP)
        let second = try HostDaemon(2, of: queue, settings)
        try second.start("--drain")
        #expect(try second.program.waitForEnd().status == 0, "\(second.log)")
        #expect(try queue.run("results", batch).lines.count == 2)
        try judge(batch)
    }

    /// A host that is to take no more prompts has nothing to wait for, and takes none in its next life either.
    @Test func aDrainOfADrainedHostEnds() throws {
        let daemon = try HostDaemon(1, of: queue)
        try daemon.begin()
        try queue.done("hosts", "drain", "\(try #require(try queue.hosts().first?["incarnation"] as? Int))")
        try daemon.says("takes no more jobs")
        let batch = try enqueue()
        try daemon.stop()
        try daemon.start("--drain")
        let end = try daemon.program.waitForEnd()
        #expect(end.status == 0 && end.errors.contains("takes no more jobs, until `ttbatch hosts resume`"), "\(end)")
        let file = try queue.workspace.write("run.jsonl", lines: [try NightJobs.line("job-1")])
        let run = try queue.run("run", file, "--set", "state_directory=\(queue.workspace.path("host-1"))")
        #expect(run.status == 8 && run.errors.contains("takes no more jobs, until `ttbatch hosts resume`"), "\(run)")
        #expect(try queue.sql("SELECT count(*) FROM results") == "0")
        try queue.done("hosts", "resume", "\(try #require(try queue.hosts().first?["incarnation"] as? Int))")
        try daemon.start("--drain")
        #expect(try daemon.program.waitForEnd().status == 0)
        try judge(batch)
    }

    /// A listener whose session was ended listens again, and looks at what it has missed.
    @Test func aListenerComesBack() throws {
        let daemon = try HostDaemon(1, of: queue, ["daemon.poll_interval_ms=600000"])
        try daemon.begin()
        try judge(try enqueue())
        for mode in PostgresServer.Stop.allCases {
            try server.restart(mode)
            try judge(try enqueue())
        }
        try daemon.stop()
    }

    /// A job is blamed when lives have ended with it in flight so often, and no other job is.
    @Test func onlyAJobThatWasThereIsBlamed() throws {
        let (maxCrashes, pause) = (2, ["TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:600000"])
        let settings = ["daemon.dead_after_s=1", "daemon.max_crashes=\(maxCrashes)"]
        // They hold what they have claimed, and never run it.
        let killed = try (0..<2).map { try HostDaemon($0, of: queue, settings, environment: pause) }
        let poison = try queue.enqueue([try NightJobs.line("job-1")])
        try queue.done("pause")
        let innocent = try enqueue()
        try queue.done("pause", innocent)
        try queue.done("resume")
        var deaths = 0
        func open() throws -> Bool { try queue.run("results", poison).status == 7 }
        for daemon in killed { try daemon.begin() }
        while try open() {
            // Whoever has it dies; the other one declares that.
            try eventually("a host with the job, or its end") {
                let hosts = try queue.hosts()
                return try hosts.contains {
                    $0["state"] as? String == "running" && $0["running_jobs"] as? Int == 1
                } || !open()
            }
            let holder = try queue.hosts().first {
                $0["state"] as? String == "running" && $0["running_jobs"] as? Int == 1
            }
            guard let holder, let daemon = killed.first(where: { Int($0.program.process) == holder["pid"] as? Int })
            else { continue }
            try daemon.kill()
            deaths += 1
            let number = try #require(holder["incarnation"] as? Int)
            try eventually("its death") {
                try queue.hosts().contains {
                    $0["incarnation"] as? Int == number && $0["state"] as? String == "dead"
                }
            }
            try daemon.begin()
            guard deaths < 10 else { break }
        }
        #expect(deaths >= maxCrashes && deaths < 10, "\(deaths)")
        #expect(try queue.results(poison).values.map(\.errorCode) == ["crashed_daemon_repeatedly"])
        for daemon in killed { try daemon.kill() }
        let daemon = try HostDaemon(9, of: queue, settings)
        try daemon.start()
        try queue.done("resume", innocent)
        try judge(innocent)
        try daemon.stop()
    }
}
