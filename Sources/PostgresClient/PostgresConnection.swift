// A session with a PostgreSQL server: how it begins, and how long it is waited for.

import CPostgres
import Glibc
import Synchronization

/// A connection, for one thread at a time.
///
/// No call waits for longer than `patience`. What is not answered by then has an unknown outcome, and so has everything that was
/// under way when the connection broke; it `isLost` then, and is good for nothing more.
package struct PostgresConnection: ~Copyable {
    let handle: OpaquePointer
    /// Where it leads to, as `host:port/database`.
    package let server: String
    /// How long a call may take.
    package var patience: Duration
    /// Whether it cannot be used any more.
    package internal(set) var isLost = false
    /// The names of prepared statements.
    var prepared: [PreparedKey: String] = [:]
    /// How many there were; no name is used twice.
    var preparedCount = 0
    /// Statements of a transaction that are sent with the next one.
    var waiting: [BoundStatement] = []
    private let notices: Notices

    private init(_ handle: OpaquePointer, server: String, patience: Duration, notices: Notices) {
        (self.handle, self.server, self.patience, self.notices) = (handle, server, patience, notices)
    }

    deinit { cpq_finish(handle) }

    /// Connects, to the first of several hosts that does.
    ///
    /// - Parameters:
    ///   - purpose: what it is for, for people who look at `pg_stat_activity`.
    ///   - patience: how long connecting, and later each call, may take.
    package static func connect(
        to address: PostgresAddress, for purpose: String, patience: Duration = .seconds(10)
    ) throws(PostgresError) -> PostgresConnection {
        try load()
        let handle = try start(address, purpose, patience)
        let end = ContinuousClock.now + patience
        let notices = Notices()
        cpq_on_notice(handle, Notices.receive, Unmanaged.passUnretained(notices).toOpaque())
        let failure: String?
        poll: while true {
            let wanted: Int16
            switch Int(cpq_connect_poll(handle)) {
            case CPQ_POLL_OK:
                failure = nil
                break poll
            case CPQ_POLL_READING: wanted = Int16(POLLIN)
            case CPQ_POLL_WRITING: wanted = Int16(POLLOUT)
            default:
                failure = String(cString: cpq_error_message(handle))
                break poll
            }
            guard wait(for: wanted, on: handle, until: end) else {
                failure = "no answer within \(patience)"
                break poll
            }
        }
        let place = place(of: handle)
        if let failure {
            let remedy = passwordRemedy(handle)
            cpq_finish(handle)
            throw PostgresError(.notConnected, failure + remedy, server: place.isEmpty ? "\(address)" : place)
        }
        cpq_set_nonblocking(handle)
        var connection = PostgresConnection(handle, server: place, patience: patience, notices: notices)
        // The server gives up first: a statement that nobody waits for any more would keep its locks. And it notices as this side
        // does that nobody is there any more.
        let milliseconds = Int64(patience / .milliseconds(1))
        try connection.execute(
            """
            SET client_min_messages = warning; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
            SET statement_timeout = \(milliseconds * 8 / 10); SET lock_timeout = \(milliseconds * 6 / 10);
            SET idle_in_transaction_session_timeout = \(milliseconds * 2);
            SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;
            SET tcp_user_timeout = 8000
            """)
        do throws(PostgresError) {
            // While it is busy, too; older servers, and those on some systems, cannot.
            try connection.execute("SET client_connection_check_interval = 1000")
        } catch {
            if connection.isLost { throw error }
        }
        return connection
    }

    private static func passwordRemedy(_ handle: OpaquePointer) -> String {
        let places = "~/.pgpass, the file that PGPASSFILE names, or PGPASSWORD"
        if cpq_needs_password(handle) { return "; the server wants a password: give it in \(places)" }
        return cpq_used_password(handle) ? "; if it is the password: it is taken from \(places)" : ""
    }

    private static let loading = Mutex(())

    private static func load() throws(PostgresError) {
        let reason = loading.withLock { _ in cpq_load().map { String(cString: $0) } }
        if let reason { throw PostgresError(.noLibrary, reason, server: "") }
    }

    private static func start(
        _ address: PostgresAddress, _ purpose: String, _ patience: Duration
    ) throws(PostgresError) -> OpaquePointer {
        // What the address says comes later, and counts. Without the last a network that is cut while something is sent is
        // noticed after a quarter of an hour; without the others, while something is waited for, after two hours.
        let words = [
            ("keepalives_idle", "5"), ("keepalives_interval", "1"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "8000"), ("target_session_attrs", "read-write"), ("dbname", address.uri),
            ("application_name", "ttbatch \(purpose)"),
            ("connect_timeout", "\(max(2, Int(patience / .seconds(1)) / 2))"),
        ]
        let handle = withCStrings(words.map(\.0)) { keywords in
            withCStrings(words.map(\.1)) { values in cpq_connect_start(keywords, values) }
        }
        guard let handle else { throw PostgresError(.notConnected, "there is no memory", server: "\(address)") }
        return handle
    }

    private static func place(of handle: OpaquePointer) -> String {
        func word(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }
        let (host, port, database) = (word(cpq_host(handle)), word(cpq_port(handle)), word(cpq_database(handle)))
        return host.isEmpty ? "" : "\(host):\(port)/\(database)"
    }

    // MARK: - Waiting

    /// Waits for the socket; whether something happened in time.
    static func wait(for events: Int16, on handle: OpaquePointer, until end: ContinuousClock.Instant) -> Bool {
        while true {
            let left = max(.zero, ContinuousClock.now.duration(to: end))
            var descriptor = pollfd(fd: cpq_socket(handle), events: events, revents: 0)
            let milliseconds = Int32(clamping: Int64((left / .milliseconds(1)).rounded(.up)))
            let count = poll(&descriptor, 1, milliseconds)
            if count > 0 { return true }
            if count == 0 { return false }
            guard errno == EINTR else { return false }
        }
    }

    /// The connection is of no use any more.
    mutating func lose(_ reason: String? = nil) -> PostgresError {
        isLost = true
        let words = reason ?? String(cString: cpq_error_message(handle))
        return PostgresError(.outcomeUnknown, words, server: server)
    }

    func checkIsThere() throws(PostgresError) {
        guard !isLost else { throw PostgresError(.notConnected, "the connection was lost before", server: server) }
    }

    /// Sends what libpq has not sent yet, and takes what comes meanwhile.
    mutating func flush(until end: ContinuousClock.Instant) throws(PostgresError) {
        while true {
            let state = cpq_flush(handle)
            if state == 0 { return }
            guard state > 0 else { throw lose() }
            guard Self.wait(for: Int16(POLLIN | POLLOUT), on: handle, until: end) else {
                throw lose("the server took nothing within \(patience)")
            }
            guard cpq_consume_input(handle) == 1 else { throw lose() }
        }
    }

    /// The next result of what was sent; nil at its end. Whoever takes it clears it.
    mutating func nextResult(until end: ContinuousClock.Instant) throws(PostgresError) -> OpaquePointer? {
        while cpq_is_busy(handle) == 1 {
            guard Self.wait(for: Int16(POLLIN), on: handle, until: end) else {
                throw lose("no answer within \(patience)")
            }
            guard cpq_consume_input(handle) == 1 else { throw lose() }
        }
        return cpq_get_result(handle)
    }

    // MARK: - What the server says beside results

    /// Forgets warnings, and gives those since the last call.
    mutating func takeWarnings() -> [String] { notices.take() }

    /// A setting that the server reports, e.g. `server_version`, `in_hot_standby`.
    package func parameter(_ name: String) -> String? { cpq_parameter(handle, name).map { String(cString: $0) } }

    /// The server's process for this connection.
    package var backend: Int32 { cpq_backend_pid(handle) }
}

/// The warnings of a connection.
private final class Notices: Sendable {
    private let texts = Mutex<[String]>([])

    static let receive: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> Void = { context, notice in
        guard let context, let notice, let text = cpq_error_field(notice, Int32(CPQ_MESSAGE)) else { return }
        let notices = Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue()
        notices.texts.withLock { $0.append(String(cString: text)) }
    }

    func take() -> [String] {
        texts.withLock { texts in
            defer { texts = [] }
            return texts
        }
    }
}

/// Texts as C has them, with NULL at their end.
private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = texts.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    return body(copies.map { UnsafePointer($0) } + [nil])
}
