// Daemons of four hosts work on one queue while hosts, their network and the server fail, and people do what they do; beside them
// the oracle.

import Foundation
import TestSupport
import Testing

/// A night of runs on one database. In a run batches are enqueued among faults; at its end the faults are over, everything that was
/// acknowledged ends, and is as if nothing had happened.
final class Night {
    private let queue: SharedQueue
    private let daemons: [HostDaemon]
    /// Those that are to run, and can answer.
    private var well: Set<Int> = []
    /// Between people's programs and the server.
    private let proxy: PostgresProxy
    private let expected: [String: NightJobs.End]
    private var random: SplitMix64
    private let began = ContinuousClock.now
    /// What was done, with its time.
    private var events: [String] = []
    private(set) var problems: [String] = []
    /// What is still wrong, and how it is put right.
    private var lasting: [Lasting] = []
    private var fileNumber = 0

    /// Batches whose id was printed, and their custom_ids.
    private var acknowledged: [String: [String]] = [:]
    /// The names of batches that were enqueued by name.
    private var names: Set<String> = []
    /// Sizes of batches of which it is not known whether they are there.
    private var unknown: [Int: Int] = [:]
    /// Batches whose `cancel` has returned, and the results that they had then.
    private var cancelled: [String: Set<String>] = [:]
    /// Batches for which there was a `cancel`, heard of or not.
    private var doomed: Set<String> = []
    /// Results of batches that have ended, which do not change any more.
    private var final: [String: [String]] = [:]

    private struct Lasting {
        let end: ContinuousClock.Instant
        let what: String
        let undo: () throws -> Void
    }

    init(seed: UInt64, on server: PostgresServer, _ expected: [String: NightJobs.End]) throws {
        random = SplitMix64(seed: seed)
        queue = try SharedQueue(on: server)
        proxy = try PostgresProxy(for: server.socketFolder)
        self.expected = expected
        let settings = [
            "daemon.dead_after_s=\(seed % 3 == 0 ? 2 : 1)", "daemon.max_crashes=1000000",
            "daemon.commit_interval_ms=20", "daemon.commit_group_size=3", "daemon.metrics_interval_s=1",
            "daemon.grace_s=1",
        ]
        // So that a batch lasts without a busy processor.
        let pace = ["TTBATCH_TEST_FAILPOINTS": "session.claimed=pause:60,writer.ended=pause:5"]
        daemons = try (0..<4).map { [queue] number in
            try HostDaemon(number, of: queue, settings, isProxied: number >= 2, environment: pace)
        }
        for daemon in daemons {
            try daemon.start()
            well.insert(daemon.number)
        }
    }

    deinit { proxy.end() }

    /// What happened, for people.
    var report: String {
        let logs = daemons.map { "host \($0.number):\n\($0.log)" }.joined(separator: "\n")
        return (problems + ["events:"] + events + [logs, "server:", String(queue.server.log.suffix(20_000))])
            .joined(separator: "\n")
    }

    /// How many results there are, how many of them took more than one attempt, and how many lives of daemons.
    func figures() throws -> [Int] {
        try queue.sql(
            """
            SELECT count(*), count(*) FILTER (WHERE attempt > 1), (SELECT count(*) FROM daemons) FROM results
            """
        ).split(separator: "|").compactMap { Int($0) }
    }

    // MARK: - A run

    /// One run; whether everything was as it should be.
    func run() throws -> Bool {
        note("— a run begins")
        try perform(.enqueue)
        for _ in 0..<Int.random(in: 6...12, using: &random) {
            try lift(all: false)
            try perform(Deed.allCases.randomElement(using: &random)!)
            usleep(UInt32.random(in: 20_000...250_000, using: &random))
            checkDaemons()
        }
        // Sometimes a host stays away until all is done without it.
        let isOneAway = Bool.random(using: &random)
        try lift(all: true, butDeadHost: isOneAway)
        try settle()
        try lift(all: true)
        try judge()
        checkDaemons()
        return problems.isEmpty
    }

    private func note(_ event: String) {
        let seconds = (ContinuousClock.now - began) / .milliseconds(1) / 1000
        events.append(String(format: "%8.3f  ", seconds) + event)
    }

    private func expect(_ isRight: Bool, _ problem: @autoclosure () -> String) {
        guard !isRight else { return }
        note("PROBLEM: \(problem())")
        problems.append(problem())
    }

    /// Ends what is due, or everything.
    private func lift(all: Bool, butDeadHost: Bool = false) throws {
        let now = ContinuousClock.now
        var isKept = !butDeadHost
        for fault in lasting {
            let isOver = all || fault.end <= now
            if isOver, !isKept, fault.what.hasSuffix("is dead") {
                isKept = true
            } else if isOver {
                note("end: \(fault.what)")
                lasting.removeAll { $0.what == fault.what }
                try fault.undo()
            }
        }
    }

    private func last(_ what: String, atMost milliseconds: Int, undo: @escaping () throws -> Void) {
        let time = Int.random(in: 0...milliseconds, using: &random)
        note(what)
        lasting.append(Lasting(end: .now + .milliseconds(time), what: what, undo: undo))
    }

    private func checkDaemons() {
        for number in well {
            expect(daemons[number].isRunning, "host \(number)'s daemon has ended by itself")
            if !daemons[number].isRunning { well.remove(number) }
        }
    }

    // MARK: - What people do, and what happens

    private enum Deed: CaseIterable {
        case enqueue, enqueueByName, cancel, retry, pause, drain, remove
        case kill, terminate, suspend, endSessions, restartServer
        case cut, silence, slow, bytewise, refuse
    }

    private func perform(_ deed: Deed) throws {
        switch deed {
        case .enqueue: try enqueue()
        case .enqueueByName: try enqueueByName()
        case .cancel: try cancel()
        case .retry: try retry()
        case .pause: try pause()
        case .drain: try drain()
        case .remove: try remove()
        case .kill:
            guard let daemon = take() else { return }
            try daemon.kill()
            last("host \(daemon.number) is dead", atMost: 2500) { [self] in try start(daemon) }
        case .terminate:
            guard let daemon = take() else { return }
            daemon.program.send(SIGTERM)
            last("host \(daemon.number) is stopped", atMost: 1500) { [self] in
                expect(daemon.program.ends(within: .seconds(120)), "host \(daemon.number) did not stop")
                daemon.program.send(SIGKILL)
                // By the signal itself, as long as it waits for the server.
                let outcome = try daemon.program.outcome()
                expect([0, 75, 143].contains(outcome.status), "host \(daemon.number) stopped with \(outcome.status)")
                try start(daemon)
            }
        case .suspend:
            guard let daemon = take() else { return }
            daemon.program.send(SIGSTOP)
            last("host \(daemon.number) hangs", atMost: 4000) { [self] in
                daemon.program.send(SIGCONT)
                well.insert(daemon.number)
            }
        case .endSessions:
            let some = Bool.random(using: &random) ? "AND random() < 0.4" : ""
            note("sessions end \(some)")
            _ = try? queue.sql(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() \(some)
                """)
        case .restartServer:
            let mode = PostgresServer.Stop.allCases.randomElement(using: &random)!
            note("the server restarts: \(mode)")
            try queue.server.restart(mode)
        case .cut:
            let cut = PostgresProxy.Cut.allCases.randomElement(using: &random)!
            disturb(.cut(cut, behind: Int.random(in: 0...30, using: &random)), atMost: 1500)
        case .silence:
            disturb(.silent(PostgresProxy.Direction.allCases.randomElement(using: &random)!), atMost: 4000)
        case .slow: disturb(.slow(Int.random(in: 5...60, using: &random)), atMost: 2000)
        case .bytewise: disturb(.bytewise, atMost: 2000)
        case .refuse: disturb(.refusing, atMost: 2500)
        }
    }

    /// A daemon that is well, and will not be.
    private func take() -> HostDaemon? {
        guard let number = well.sorted().randomElement(using: &random) else { return nil }
        well.remove(number)
        return daemons[number]
    }

    private func start(_ daemon: HostDaemon) throws {
        try daemon.start()
        well.insert(daemon.number)
    }

    private func disturb(_ fault: PostgresProxy.Fault, atMost milliseconds: Int) {
        let daemon = daemons.filter { $0.proxy != nil }.randomElement(using: &random)!
        let what = "host \(daemon.number)'s network"
        guard !lasting.contains(where: { $0.what.hasPrefix(what) }), let proxy = daemon.proxy else { return }
        proxy.set(fault)
        last("\(what): \(fault)", atMost: milliseconds) { proxy.set(.none) }
    }

    /// A program of a person, whose network may fail: what then happened is not known.
    private func attempt(_ arguments: [String]) throws -> Outcome {
        let cut = PostgresProxy.Cut.allCases.randomElement(using: &random)!
        let isCut = Int.random(in: 0..<3, using: &random) == 0
        proxy.set(isCut ? .cut(cut, behind: Int.random(in: 0...30, using: &random)) : .none)
        let outcome = try queue.run(arguments, by: proxy)
        note("\(arguments.joined(separator: " ")): \(outcome.status) \(outcome.output)\(outcome.errors)")
        return outcome
    }

    /// Does it until it is acknowledged, or there is a reason against it.
    private func insist(_ arguments: [String], _ allowed: Set<Int32> = [0]) throws -> Outcome {
        let end = ContinuousClock.now + Self.patience
        var outcome = try attempt(arguments)
        while outcome.status == 75, ContinuousClock.now < end {
            usleep(100_000)
            outcome = try attempt(arguments)
        }
        expect(allowed.contains(outcome.status), "\(arguments): \(outcome)")
        return outcome
    }

    /// How long anything may take when nothing fails any more.
    private static let patience = Duration.seconds(150)

    private func someIDs() -> [String] {
        let count = Int.random(in: 4...24, using: &random)
        let ids = Array(NightJobs.ids.shuffled(using: &random).prefix(count))
        return Bool.random(using: &random) ? ids : [NightJobs.refused] + ids
    }

    private func file(_ ids: [String]) throws -> String {
        fileNumber += 1
        return try queue.workspace.write("prompts-\(fileNumber).jsonl", lines: ids.map(NightJobs.line))
    }

    private func enqueue() throws {
        let ids = someIDs()
        let outcome = try attempt(["enqueue", "-q", try file(ids)])
        expect([0, 75].contains(outcome.status), "enqueue: \(outcome)")
        // Printed is acknowledged, whatever came then.
        if let batch = outcome.lines.first { acknowledged[batch] = ids } else { unknown[ids.count, default: 0] += 1 }
    }

    /// Repeats it until it is acknowledged: it is there once.
    private func enqueueByName() throws {
        let ids = someIDs()
        let name = "night-\(fileNumber)"
        let outcome = try insist(["enqueue", "-q", try file(ids), "--name", name, "--if-not-exists"])
        guard let batch = outcome.lines.last else { return }
        names.insert(name)
        acknowledged[batch] = ids
    }

    private func open() -> String? {
        acknowledged.keys.filter { final[$0] == nil && cancelled[$0] == nil }.sorted().randomElement(using: &random)
    }

    private func cancel() throws {
        guard let batch = open() else { return }
        doomed.insert(batch)
        // It may have ended, also by a cancel of which nothing was heard.
        let outcome = try insist(["cancel", batch], [0, 8])
        guard outcome.status == 0 else { return }
        cancelled[batch] = try succeeded(batch, "--partial")
    }

    private func succeeded(_ batch: String, _ options: String...) throws -> Set<String> {
        let lines = try insist(["results", batch] + options, [0, 4, 5]).lines
        return Set(try lines.map { try ResultLine($0) }.filter { $0.text != nil }.map(\.customID))
    }

    private func retry() throws {
        let ended = final.keys.filter { acknowledged[$0]?.contains(NightJobs.refused) == true && cancelled[$0] == nil }
        guard let batch = ended.sorted().randomElement(using: &random) else { return }
        let outcome = try attempt(["retry", batch])
        expect([0, 75].contains(outcome.status), "retry: \(outcome)")
        if let copy = outcome.lines.first {
            acknowledged[copy] = [NightJobs.refused]
        } else {
            unknown[1, default: 0] += 1
        }
    }

    private func pause() throws {
        guard let batch = open(), !lasting.contains(where: { $0.what == "\(batch) is paused" }) else { return }
        guard try insist(["pause", batch], [0, 8]).status == 0 else { return }
        last("\(batch) is paused", atMost: 1500) { [self] in _ = try insist(["resume", batch], [0, 8]) }
    }

    private func hosts(_ states: Set<String>) throws -> [String] {
        try insist(["hosts", "--json"]).lines.map(jsonObject).filter { states.contains($0["state"] as? String ?? "") }
            .compactMap { ($0["incarnation"] as? Int).map(String.init) }
    }

    /// `settle` lets it take jobs again.
    private func drain() throws {
        guard let host = try hosts(["running", "silent"]).randomElement(using: &random) else { return }
        _ = try insist(["hosts", "drain", host], [0, 6])
    }

    private func remove() throws {
        guard let host = try hosts(["running", "silent", "draining"]).randomElement(using: &random) else { return }
        _ = try insist(["hosts", "remove", host], [0, 6])
    }

    // MARK: - The oracle

    private struct Batch {
        let id: String
        let name: String
        let total: Int
        let isTerminal: Bool
    }

    private func batches() throws -> [Batch] {
        try insist(["list", "--limit", "100000", "--json"]).lines.map { line in
            let json = try jsonObject(line)
            let counts = json["request_counts"] as? [String: Any]
            let own = json["ttbatch"] as? [String: Any]
            return Batch(
                id: json["id"] as? String ?? "", name: own?["name"] as? String ?? "",
                total: counts?["total"] as? Int ?? -1,
                isTerminal: ["completed", "cancelled", "expired", "failed"].contains(json["status"] as? String))
        }
    }

    /// Waits until all batches have ended.
    private func settle() throws {
        let end = ContinuousClock.now + Self.patience
        while true {
            for host in try hosts(["draining"]) { _ = try insist(["hosts", "resume", host], [0, 6]) }
            let open = try batches().filter { !$0.isTerminal }
            guard !open.isEmpty else { return }
            checkDaemons()
            guard ContinuousClock.now < end, problems.isEmpty else {
                expect(false, "\(open) have not ended")
                return
            }
            usleep(100_000)
        }
    }

    /// Looks at every promise.
    private func judge() throws {
        let check = try insist(["db", "check"])
        expect(check.status == 0, "db check: \(check.output)")
        let sequences = try queue.sql(
            """
            SELECT batch_id FROM results GROUP BY batch_id
            HAVING count(DISTINCT finish_seq) <> count(*) OR min(finish_seq) <> 1 OR max(finish_seq) <> count(*)
            """)
        expect(sequences.isEmpty, "these do not number their results from 1: \(sequences)")
        let batches = try batches()
        let found = Set(batches.map(\.id))
        expect(found.count == batches.count, "a batch is there twice")
        expect(found.isSuperset(of: acknowledged.keys), "lost: \(Set(acknowledged.keys).subtracting(found))")
        for name in names {
            expect(batches.count { $0.name == name } == 1, "\(name) is not there once")
        }
        for batch in batches where final[batch.id] == nil { try judge(batch) }
        // What nobody was told of is there as a whole, and once for each call.
        let surplus = Dictionary(grouping: batches.filter { acknowledged[$0.id] == nil }, by: \.total)
        for (total, batches) in surplus {
            expect(batches.count <= unknown[total] ?? 0, "more batches of \(total) jobs than were asked for")
        }
        // A result that has ended is as it was.
        if let (batch, lines) = final.randomElement(using: &random) {
            let now = try insist(["results", batch], [0, 4, 5]).lines
            expect(now == lines, "the results of \(batch) have changed")
        }
    }

    private func judge(_ batch: Batch) throws {
        let lines = try insist(["results", batch.id], [0, 4, 5]).lines
        final[batch.id] = lines
        let results = try lines.map { try ResultLine($0) }
        let ids = results.map(\.customID)
        expect(lines.count == batch.total, "\(batch) has \(lines.count) results")
        expect(Set(ids).count == ids.count, "\(batch) has several results of one job")
        if let wanted = acknowledged[batch.id] {
            expect(Set(ids) == Set(wanted) && ids.count == wanted.count, "\(batch) is not the file: \(ids)")
        }
        for result in results {
            if result.errorCode == "batch_cancelled", doomed.contains(batch.id) { continue }
            expect(
                NightJobs.End(result) == expected[result.customID], "\(batch.id) \(result.customID): \(result.json)")
        }
        if let kept = cancelled[batch.id] {
            let now = Set(results.filter { $0.text != nil }.map(\.customID))
            expect(now == kept, "\(batch.id) was cancelled and got results after that: \(now.subtracting(kept))")
        }
    }
}
