// Which key a request shows, checked against the store's keys without asking the store for every request.

import APIKeys
package import HTTPExchange
import Runtime
import Settings
import StoreContract
import Synchronization

/// Knows the server's keys and who is logged in to its page.
package final class KeyRing: Sendable {
    private let store: any KeyKeeping
    private let reading = BlockingThreads(count: 1)
    /// Who tries many keys waits for his own checks; keys that were proven need none.
    private let checking = BlockingThreads(count: 1)
    /// Whether everybody may ask as long as there is no key.
    private let opensWithoutKeys: Bool
    private let state = Mutex(State())
    /// A change of the keys counts after this time.
    private static let freshness = Duration.milliseconds(500)

    private struct State {
        /// By their public part; nil: not read yet.
        var keys: [String: ServerKey]?
        var asOf = ContinuousClock.now
        /// Keys that were shown and are right, by their public part: their check takes no millisecond again.
        var proven: [String: (key: ServerKey, text: KeyText)] = [:]
        var sessions = Sessions()
    }

    /// Takes the keys of a queue. A server that only this machine reaches is open as long as there are none.
    ///
    /// - Throws: `InvalidConfiguration` where others reach a server without keys; `JobStoreError`.
    package init(_ served: ServedQueue) throws {
        store = served.store
        opensWithoutKeys = served.address.isLocal
        guard try served.address.isLocal || !served.store.keys().isEmpty else {
            throw InvalidConfiguration(
                place: "server.listen",
                reason: "\(served.address) can be reached from other machines, and there is no key; make one with "
                    + "`ttbatch keys add NAME --scope admin`, or listen on 127.0.0.1 or unix:PATH")
        }
    }

    /// Who shows these credentials.
    ///
    /// - Parameters:
    ///   - shown: the text of a key; nil if none is shown.
    ///   - session: the token of a login; it counts if no key is shown.
    /// - Throws: 401 without a valid key where one is needed; errors of the store.
    func caller(showing shown: String?, session: String?) async throws -> Caller {
        let keys = try await currentKeys()
        if keys.isEmpty, opensWithoutKeys { return .anybody }
        if let shown {
            guard let key = try await key(shown, among: keys) else {
                throw APIError.unauthorized("this key is not valid; `ttbatch keys list` shows the server's keys")
            }
            return Caller(key)
        }
        if let session, let key = state.withLock({ $0.sessions.key(of: session, among: keys) }) { return Caller(key) }
        throw APIError.unauthorized("this server needs a key: send it as Authorization: Bearer KEY")
    }

    /// Begins a session with a key, and returns its token; nil if the key is not valid.
    func logIn(_ shown: String) async throws -> String? {
        guard let key = try await key(shown, among: currentKeys()) else { return nil }
        return state.withLock { $0.sessions.begin(key) }
    }

    /// Ends a session.
    func logOut(_ session: String) { state.withLock { $0.sessions.end(session) } }

    /// Whether there is a key, so that one is needed.
    func needsKey() async throws -> Bool { try await !currentKeys().isEmpty || !opensWithoutKeys }

    private func currentKeys() async throws -> [String: ServerKey] {
        let known = state.withLock { $0.asOf + Self.freshness > .now ? $0.keys : nil }
        if let known { return known }
        let began = ContinuousClock.now
        let all = try await reading.run { [store] in try store.keys() }
        let keys = Dictionary(uniqueKeysWithValues: all.map { ($0.publicID, $0) })
        state.withLock { state in
            state.keys = keys
            state.asOf = began
            state.proven = state.proven.filter { keys[$0.key] == $0.value.key }
        }
        return keys
    }

    /// An unknown key takes as long as a known one that is wrong.
    private func key(_ shown: String, among keys: [String: ServerKey]) async throws -> ServerKey? {
        guard let text = KeyText(shown) else { return nil }
        let key = keys[text.publicID]
        if let key, let proven = state.withLock({ $0.proven[key.publicID] }), proven.key == key,
            isEqualInConstantTime(proven.text.text, text.text)
        {
            return key
        }
        guard try await checking.run({ (key ?? .nobodys).isKey(text) }), let key else { return nil }
        state.withLock { $0.proven[key.publicID] = (key, text) }
        return key
    }
}

extension Caller {
    /// Who has a key. An administrator sees what is everybody's.
    fileprivate init(_ key: ServerKey) {
        self.init(tenant: key.scopes.contains(.admin) ? nil : key.tenant, scopes: key.scopes)
    }
}
