// The keys of the server, in memory.

package import StoreContract

extension MemoryJobStore {
    package func add(_ key: ServerKey) throws(JobStoreError) {
        try write { (rows) throws(JobStoreError) in
            guard rows.keys[key.name] == nil else { throw .keyNameTaken(key.name) }
            rows.keys[key.name] = key
        }
    }

    package func keys() throws(JobStoreError) -> [ServerKey] {
        try read { $0.keys.values.sorted { $0.name < $1.name } }
    }

    package func removeKey(named name: String) throws(JobStoreError) -> Bool {
        try write { $0.keys.removeValue(forKey: name) != nil }
    }
}
