// Where a PostgreSQL server is, as `postgres://…` says it.

/// The URI of a database. It may have a password in it, so it is never shown.
package struct PostgresAddress: Sendable, Hashable, CustomStringConvertible {
    /// What libpq is given: hosts, several of them too, `target_session_attrs`, `sslmode`, `service` … are its own to read.
    let uri: String

    /// Reads `postgres://…` and `postgresql://…`; nil if it is anything else.
    package init?(_ text: String) {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        guard ["postgres", "postgresql"].contains(scheme), text.dropFirst(scheme.count).hasPrefix("://") else {
            return nil
        }
        uri = text
    }

    /// Without what only its owner should see.
    package var description: String {
        let rest = uri.dropFirst(uri.prefix { $0 != ":" }.count + 3)
        let places = rest.prefix { $0 != "?" }
        let server = places.lastIndex(of: "@").map { places[places.index(after: $0)...] } ?? places
        return "postgres://\(server)"
    }
}
