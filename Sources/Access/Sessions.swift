// Who is logged in to the page: a random token in a cookie stands for a key, which the browser does not keep.

import HTTPExchange
import StoreContract

/// The sessions of people who logged in. They end with the server, with their key, or after twelve hours.
struct Sessions {
    private struct Session {
        let key: ServerKey
        let end: ContinuousClock.Instant
    }

    private var sessions: [String: Session] = [:]
    static let seconds = 12 * 3600
    private static let most = 1000

    /// Begins a session and returns its token.
    mutating func begin(_ key: ServerKey) -> String {
        let now = ContinuousClock.now
        sessions = sessions.filter { $0.value.end > now }
        if sessions.count >= Self.most, let oldest = sessions.min(by: { $0.value.end < $1.value.end }) {
            sessions[oldest.key] = nil
        }
        let token = randomHexadecimal(64)
        sessions[token] = Session(key: key, end: now + .seconds(Self.seconds))
        return token
    }

    /// The key of a session, if both are still valid.
    func key(of token: String, among keys: [String: ServerKey]) -> ServerKey? {
        guard let session = sessions[token], session.end > .now, keys[session.key.publicID] == session.key else {
            return nil
        }
        return session.key
    }

    mutating func end(_ token: String) { sessions[token] = nil }
}
