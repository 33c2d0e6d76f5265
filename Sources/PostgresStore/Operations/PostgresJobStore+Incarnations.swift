// The lives of daemons: whose they are, and what dead ones left running.

import Foundation
import Glibc
import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// A kernel lock in the state directory. It ends with the process, however that ends.
    public func acquireLease() throws(JobStoreError) -> any DaemonLease {
        try StateDirectoryLock.acquire(stateDirectory, for: location)
    }

    /// Asks the kernel, so the answer is never out of date.
    public func daemonPresence() throws(JobStoreError) -> DaemonPresence { StateDirectoryLock.presence(stateDirectory) }

    /// A number that people's doings change.
    public func dataVersion() throws(JobStoreError) -> Int64 {
        try read { try $0.number("SELECT changes FROM meta") }
    }

    /// Listens on a connection of its own, which is made anew after it was lost.
    public func watch(_ handler: @escaping @Sendable () -> Void) -> (any StoreWatch)? {
        PostgresWatch(address, handler)
    }

    /// One transaction: the new row, and what the lives before it of this machine and state directory left running.
    public func openIncarnation(
        _ daemon: NewIncarnation, lease: any DaemonLease, maxCrashes: Int, at now: Milliseconds
    ) throws(JobStoreError) -> OpenedIncarnation {
        precondition(lease is StateDirectoryLock, "the lease is of this kind of store")
        let identity = identity.stored
        return try act { db in
            let incarnation = try db.row(
                """
                INSERT INTO daemons (identity, pid, host, version, model, device, started_ms)
                VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING incarnation
                """, identity, Int64(daemon.pid), daemon.host.stored, daemon.version.stored, daemon.model.stored,
                daemon.device.stored, now
            ) { $0.id(0, as: Incarnation.self) }!
            // This process holds the lease, so these lives have ended.
            let former = try db.rows(
                """
                UPDATE daemons SET declared_dead_ms = $3
                WHERE identity = $1 AND incarnation < $2 AND stopped_ms IS NULL AND declared_dead_ms IS NULL
                RETURNING incarnation
                """, identity, incarnation, now
            ) { $0.int64(0) }
            try db.run("DELETE FROM progress WHERE incarnation = ANY($1)", PostgresArray(former))
            var orphans = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
            for owner in former.map({ Incarnation(rawValue: $0) }).sorted() {
                let tickets = try db.tickets(of: owner)
                let reason = try db.predecessorDied(owner) ? ReleaseReason.crash(maxCrashes: maxCrashes) : .stopping
                let report = try db.release(tickets, incarnation: owner, because: reason, death: .counted, at: now)
                orphans.requeued += report.requeued
                orphans.failed += report.failed
                orphans.closedBatches += report.closedBatches
            }
            try db.beat(incarnation, within: 0, at: now)
            return OpenedIncarnation(incarnation: incarnation, orphans: orphans)
        }
    }

    /// One transaction: the jobs in flight, and the time of the end.
    public func closeIncarnation(_ incarnation: Incarnation, at now: Milliseconds) throws(JobStoreError) {
        try act { db in
            let tickets = try db.tickets(of: incarnation)
            _ = try db.release(tickets, incarnation: incarnation, because: .stopping, at: now)
            try db.run("DELETE FROM progress WHERE incarnation = $1", incarnation)
            _ = try db.run(
                "UPDATE daemons SET stopped_ms = $2 WHERE incarnation = $1 AND stopped_ms IS NULL", incarnation, now)
        }
    }

    /// Reads rows by their key, the last first.
    public func incarnations(limit: Int) throws(JobStoreError) -> [IncarnationSummary] {
        try read { try $0.incarnations(limit: limit) }
    }

    /// Nothing is due: the server looks after its tables itself.
    public func maintain() throws(JobStoreError) {}

    /// The server has everything.
    public func settle() throws(JobStoreError) {}

    /// The machine and the state directory: of two lives with the same one, the second comes after the first's end.
    private var identity: String {
        let machine =
            (try? String(contentsOfFile: "/etc/machine-id", encoding: .utf8)) ?? ProcessInfo.processInfo.hostName
        return machine.trimmingCharacters(in: .whitespacesAndNewlines) + ":" + stateDirectory
    }
}

extension PostgresConnection {
    /// All that a life has in flight.
    mutating func tickets(of incarnation: Incarnation) throws -> [ClaimTicket] {
        try rows(
            "SELECT batch_id, attempt, lines FROM leases WHERE incarnation = $1 ORDER BY batch_id, id", incarnation
        ) { row in
            let batch: BatchID = row.id(0)
            return row.array(2, of: Int64.self).map {
                ClaimTicket(job: JobID(batch, line: $0), batch: batch, attempt: row.int(1))
            }
        }.flatMap(\.self)
    }

    /// Whether the life before this one, of the same machine and state directory, died as well.
    fileprivate mutating func predecessorDied(_ incarnation: Incarnation) throws -> Bool {
        try row(
            """
            SELECT a.stopped_ms IS NULL FROM daemons a JOIN daemons b ON b.identity = a.identity
            WHERE b.incarnation = $1 AND a.incarnation < b.incarnation ORDER BY a.incarnation DESC LIMIT 1
            """, incarnation
        ) { $0.bool(0) } ?? false
    }

    mutating func incarnations(limit: Int) throws -> [IncarnationSummary] {
        try rows(
            """
            SELECT incarnation, pid, host, version, model, device, started_ms, stopped_ms FROM daemons
            ORDER BY incarnation DESC LIMIT $1
            """, limit
        ) { row in
            IncarnationSummary(
                id: row.id(0),
                daemon: NewIncarnation(
                    pid: Int32(truncatingIfNeeded: row.int64(1)), host: row.text(2), version: row.text(3),
                    model: row.text(4), device: row.text(5)),
                started: row.id(6), stopped: row.optionalID(7))
        }
    }
}

/// A lock on a file of the state directory: one daemon at a time has it.
final class StateDirectoryLock: DaemonLease, @unchecked Sendable {
    // The descriptor is immutable, and the kernel serialises the operations on it.
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    private static func path(_ directory: String) -> String { directory + "/daemon.lock" }

    static func acquire(
        _ directory: String, for location: String
    ) throws(JobStoreError) -> StateDirectoryLock {
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let path = path(directory)
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .system(
                operation: "open the lock file", path: path, errno: errno, reason: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            // The owner wrote its pid when it began, and nobody has written since.
            var facts = stat()
            let isKnown = fstat(descriptor, &facts) == 0
            let began = Int64(facts.st_mtim.tv_sec) * 1000 + Int64(facts.st_mtim.tv_nsec) / 1_000_000
            close(descriptor)
            throw .daemonRunning(
                path: location, pid: writtenPID(directory), since: isKnown ? Milliseconds(rawValue: began) : nil)
        }
        _ = ftruncate(descriptor, 0)
        _ = "\(getpid())\n".withCString { pwrite(descriptor, $0, strlen($0), 0) }
        return StateDirectoryLock(descriptor: descriptor)
    }

    static func presence(_ directory: String) -> DaemonPresence {
        let descriptor = open(path(directory), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return errno == EACCES ? .unknown : .absent }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return .running(pid: writtenPID(directory)) }
        return .absent
    }

    private static func writtenPID(_ directory: String) -> Int32? {
        (try? String(contentsOfFile: path(directory), encoding: .utf8)).flatMap { Int32($0.dropLast()) }
    }

    func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
