// Who may ask the server: its keys.

/// Keeps the keys of the server.
public protocol KeyKeeping: Sendable {
    /// Adds a key. It is durable when this returns.
    /// - Throws: `.keyNameTaken`
    func add(_ key: ServerKey) throws(JobStoreError)

    /// All keys, by name.
    func keys() throws(JobStoreError) -> [ServerKey]

    /// Removes a key, and tells whether it was there. It is durable when this returns.
    @discardableResult
    func removeKey(named name: String) throws(JobStoreError) -> Bool
}
