// Poolers between this program and the server: one that gives every transaction another session is refused, since locks, LISTEN and
// prepared statements are of a session.

import PostgresClient
import StoreContract

extension PostgresConnection {
    /// Throws if sessions are not kept.
    ///
    /// A pooler tells another process than the server's own. Whether it keeps sessions is seen when a second connection has a
    /// transaction: one that does not gives it the session of the first.
    mutating func checkSessionIsKept(_ address: PostgresAddress) throws {
        let isKept: Bool
        do {
            isKept = try keepsSession(address)
        } catch let error as PostgresError where [.statementExists, .noSuchStatement].contains(error.state) {
            // What was prepared is another session's, or is there from another client.
            isKept = false
        }
        guard isKept else {
            throw JobStoreError.notForThisStore(
                path: "\(address)",
                remedy: "there is a pooler that gives each transaction another session (PgBouncer's pool_mode = "
                    + "transaction); connect to the server itself, or to a pool with pool_mode = session")
        }
    }

    private mutating func keepsSession(_ address: PostgresAddress) throws -> Bool {
        guard try number("SELECT pg_backend_pid()::int8") != Int64(backend) else { return true }
        for _ in 0..<3 {
            let own = try number("SELECT pg_backend_pid()::int8")
            var other = try PostgresConnection.connect(to: address, for: "session check")
            try other.execute("BEGIN")
            let others = try other.number("SELECT pg_backend_pid()::int8")
            let afterwards = try number("SELECT pg_backend_pid()::int8")
            try other.execute("ROLLBACK")
            guard own != others, own == afterwards else { return false }
        }
        return true
    }
}
