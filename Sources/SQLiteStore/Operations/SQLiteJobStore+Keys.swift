// The keys of the server.

import GRDB
public import StoreContract

extension SQLiteJobStore {
    /// One transaction.
    public func add(_ key: ServerKey) throws(JobStoreError) {
        let scopes = KeyScope.allCases.filter(key.scopes.contains).map(\.rawValue).joined(separator: ",")
        try write { db in
            guard try db.number("SELECT count(*) FROM server_keys WHERE name = ?", key.name) == 0 else {
                throw JobStoreError.keyNameTaken(key.name)
            }
            try db.run(
                """
                INSERT INTO server_keys (name, public_id, tenant, scopes, hash, created_ms) VALUES (?, ?, ?, ?, ?, ?)
                """, key.name, key.publicID, key.tenant.rawValue, scopes, key.hash, key.created)
        }
    }

    /// Reads the whole table, which is small.
    public func keys() throws(JobStoreError) -> [ServerKey] {
        try read { db in
            try db.rows("SELECT name, public_id, tenant, scopes, hash, created_ms FROM server_keys ORDER BY name") {
                ServerKey(
                    name: $0.text(0), publicID: $0.text(1), tenant: Tenant(rawValue: $0.text(2)),
                    scopes: try Self.scopes($0.text(3)), hash: $0.text(4), created: $0.id(5))
            }
        }
    }

    /// One transaction.
    public func removeKey(named name: String) throws(JobStoreError) -> Bool {
        try write { try $0.run("DELETE FROM server_keys WHERE name = ?", name) } > 0
    }

    private static func scopes(_ text: String) throws -> Set<KeyScope> {
        Set(
            try text.split(separator: ",").map { word in
                guard let scope = KeyScope(rawValue: String(word)) else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "unknown scope '\(word)'")
                }
                return scope
            })
    }
}
