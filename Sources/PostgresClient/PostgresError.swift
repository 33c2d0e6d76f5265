// What can go wrong between this program and a PostgreSQL server, and what is then known.

/// A five-character code of the server; PostgreSQL 15's documentation, appendix A.
package struct SQLState: RawRepresentable, Hashable, Sendable {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    package static let uniqueViolation = SQLState(rawValue: "23505")
    package static let notText = SQLState(rawValue: "22021")
    package static let cancelled = SQLState(rawValue: "57014")
    package static let lockTimeout = SQLState(rawValue: "55P03")
    package static let deadlock = SQLState(rawValue: "40P01")
    package static let serializationFailure = SQLState(rawValue: "40001")
    package static let noTable = SQLState(rawValue: "42P01")
    package static let diskFull = SQLState(rawValue: "53100")
    package static let readOnly = SQLState(rawValue: "25006")
    package static let failedTransaction = SQLState(rawValue: "25P02")
    /// The columns of a prepared statement are others now.
    package static let changedColumns = SQLState(rawValue: "0A000")
    package static let noSuchStatement = SQLState(rawValue: "26000")
    package static let statementExists = SQLState(rawValue: "42P05")

    /// Class 40: the transaction may be repeated.
    var isRepeatable: Bool { rawValue.hasPrefix("40") }
}

/// Why a call had no result.
package struct PostgresError: Error, Sendable, CustomStringConvertible {
    /// What is known of the call's effect.
    package enum Kind: Hashable, Sendable {
        /// libpq cannot be loaded.
        case noLibrary
        /// There was no connection: nothing was done.
        case notConnected
        /// The server refused it: nothing was done, unless it was in a transaction that goes on.
        case server(SQLState)
        /// The connection ended, or no answer came in time: it may have been done or not.
        case outcomeUnknown
    }

    /// What is known.
    package let kind: Kind
    /// The server's or the library's words, without passwords; one line.
    package let message: String
    /// The constraint that would have been broken.
    package let constraint: String?
    /// Where the server is, as `host:port/database`; empty while that is not known.
    package let server: String

    init(_ kind: Kind, _ message: String, constraint: String? = nil, server: String) {
        self.kind = kind
        self.message = message.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }
            .joined(separator: "; ")
        self.constraint = constraint
        self.server = server
    }

    /// The server's code; nil if the server did not answer.
    package var state: SQLState? { if case .server(let state) = kind { state } else { nil } }

    /// What went wrong, without the place.
    package var reason: String {
        switch kind {
        case .noLibrary: "queues in PostgreSQL need its client library, libpq5 (apt-get install libpq5): \(message)"
        case .notConnected: "the server cannot be reached: \(message)"
        case .server(let state): "\(message) (\(state.rawValue))"
        case .outcomeUnknown: "the connection was lost, and whether the last call was done is not known: \(message)"
        }
    }

    /// One line for people.
    package var description: String { "PostgreSQL\(server.isEmpty ? "" : " \(server)"): \(reason)" }
}
