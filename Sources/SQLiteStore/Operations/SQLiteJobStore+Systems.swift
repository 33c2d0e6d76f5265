// What made results: the model, the device and the settings that change numbers.

import GRDB
public import StoreContract

extension SQLiteJobStore {
    /// One transaction; nothing is written if all of it is there.
    public func record(_ system: SystemRecord) throws(JobStoreError) {
        guard try self.system(system.fingerprint) != system else { return }
        try write { db in
            for (key, value) in system.members {
                try db.run(
                    "INSERT INTO systems (fingerprint, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    system.fingerprint, key, value)
            }
        }
    }

    /// Reads rows by their key.
    public func system(_ fingerprint: String) throws(JobStoreError) -> SystemRecord? {
        let members = try read { db in
            try db.rows("SELECT key, value FROM systems WHERE fingerprint = ?", fingerprint) {
                ($0.text(0), $0.text(1))
            }
        }
        return members.isEmpty ? nil : SystemRecord(Dictionary(members) { first, _ in first })
    }
}
