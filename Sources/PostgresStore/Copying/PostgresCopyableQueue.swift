// A queue in PostgreSQL as one end of a copy: nobody else writes meanwhile, and no daemon lives.

package import PostgresClient
package import Runtime
package import StoreContract

/// The database at an address. Nothing is asked before it is read or filled.
package struct PostgresCopyableQueue: CopyableQueue {
    package let location: String
    let address: PostgresAddress

    /// For `withRows` there must be a queue; `fill` makes its tables.
    package init(_ address: PostgresAddress) {
        self.address = address
        location = "\(address)"
    }

    /// A daemon that was not heard of for so long has ended, as far as a copy is concerned.
    static let silence: Int64 = 60_000

    /// All tables that have something of the queue.
    private static let tables = """
        meta, daemons, batches, counters, open_batches, segments, model_troubles, jobs, returned, leases, results, choices, systems, metrics, files, \
        server_keys
        """

    /// The tables are locked for all but readers, and what is read is one state of them.
    package func withRows<Result>(_ body: (any QueueRows) throws -> Result) throws -> Result {
        let rows = try store { () throws -> PostgresQueueRows in
            var connection = try connect()
            guard try connection.row("SELECT to_regclass('meta') IS NOT NULL", read: { $0.bool(0) }) == true else {
                throw JobStoreError.notFound(path: location)
            }
            try PostgresSchema.migrate(&connection, location: location, at: TimeSource.system.now)
            try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE \(Self.tables) IN SHARE MODE")
            try connection.checkNobodyLives(location)
            try connection.checkNobodyEnqueues()
            return PostgresQueueRows(connection, address)
        }
        defer { rows.end() }
        return try body(rows)
    }

    /// One transaction. The tables are locked for all but readers.
    package func fill(from rows: any QueueRows, at now: Milliseconds) throws -> QueueCopyReport {
        try store {
            var connection = try connect()
            try PostgresSchema.migrate(&connection, location: location, at: now)
            return try connection.transaction { db in
                try db.execute("LOCK TABLE \(Self.tables) IN EXCLUSIVE MODE")
                try db.checkIsEmpty(location)
                var filling = PostgresFilling(rows, into: address)
                return try filling.run(&db, at: now)
            }
        }
    }

    /// A connection without a limit of time for statements: one copies a million jobs.
    private func connect() throws -> PostgresConnection {
        var connection = try PostgresConnection.connect(to: address, for: "copy")
        try connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        connection.patience = .seconds(3600)
        return connection
    }

    private func store<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as QueueCopyRefusal { throw error } catch {
            throw JobStoreError(error, at: address)
        }
    }
}

extension PostgresConnection {
    /// Throws if a life has neither ended nor been declared dead, and was heard of lately.
    fileprivate mutating func checkNobodyLives(_ location: String) throws {
        // A crash of the server forgets when it was.
        let living = try row(
            """
            SELECT host, pid, silent FROM (
                SELECT host, pid, (extract(epoch FROM clock_timestamp()) * 1000)::int8
                    - coalesce(seen_ms, (extract(epoch FROM pg_postmaster_start_time()) * 1000)::int8) AS silent,
                    greatest($1, limit_ms) AS limit_ms
                FROM daemons LEFT JOIN heartbeats USING (incarnation)
                WHERE stopped_ms IS NULL AND declared_dead_ms IS NULL
            ) d WHERE silent < limit_ms ORDER BY silent LIMIT 1
            """, PostgresCopyableQueue.silence
        ) { (host: $0.text(0), pid: $0.int64(1), silent: $0.int64(2)) }
        guard let living else { return }
        throw QueueCopyRefusal.daemonLives(
            location, host: living.host, pid: living.pid, seconds: max(0, living.silent / 1000))
    }

    /// Throws if a draft or a submission has a writer.
    fileprivate mutating func checkNobodyEnqueues() throws {
        for batch in try batchIDs(.validating) {
            guard try tryLockWriter(of: batch) else { throw JobStoreError.batchIsDraft(batch) }
            try unlockWriter(of: batch)
        }
    }

    /// Throws if a queue has something.
    fileprivate mutating func checkIsEmpty(_ location: String) throws {
        func count(_ table: String, _ db: inout PostgresConnection) throws -> Int64 {
            try db.number("SELECT count(*) FROM \(table)")
        }
        let refusal = QueueCopyRefusal.ifNotEmpty(
            location, batches: try count("batches", &self), lives: try count("daemons", &self),
            files: try count("files", &self), keys: try count("server_keys", &self))
        if let refusal { throw refusal }
    }
}
