// Stands between a client and a PostgreSQL server, understands the frames of the protocol, and makes the faults of a network: a
// connection is cut at one of them, is half open, slow or refused. Source: PostgreSQL 15's documentation, "Message Formats".

import Foundation
import Glibc
import Runtime
import Synchronization

/// A proxy on a Unix socket for a server on another one.
package final class PostgresProxy: Sendable {
    /// What happens at a message of the client.
    package enum Cut: Sendable, CaseIterable {
        /// The server does not get it.
        case before
        /// The server gets it and does what it says; the client does not get the answer.
        case after
    }

    /// Where a message goes.
    package enum Direction: Sendable, CaseIterable { case toServer, toClient }

    /// What is wrong with the network.
    package enum Fault: Sendable, Hashable {
        case none
        /// Once, a connection is cut at a message after so many of all clients.
        case cut(Cut, behind: Int)
        /// Nothing comes through in one direction until the fault is over.
        case silent(Direction)
        /// Each message takes so many milliseconds more.
        case slow(Int)
        /// Each byte comes by itself.
        case bytewise
        /// All connections are cut, and new ones are closed at once.
        case refusing
    }

    /// The folder of the socket, for the `host` of an address.
    package let folder: String
    private let server: String
    private let listener: Int32
    private let state = Mutex(State())

    private struct State {
        var fault = Fault.none
        /// How many messages pass until the cut.
        var messagesLeft = 0
        var wasCut = false
        var isEnded = false
        /// The clients' sockets.
        var clients: Set<Int32> = []
    }

    /// Listens, and cuts once.
    ///
    /// - Parameters:
    ///   - server: the folder of the server's socket.
    ///   - messages: how many messages of clients pass before the one at which the connection is cut.
    package convenience init(for server: String, _ cut: Cut, behind messages: Int) throws {
        try self.init(for: server)
        set(.cut(cut, behind: messages))
    }

    /// Listens.
    ///
    /// - Parameter server: the folder of the server's socket.
    package init(for server: String) throws {
        self.server = server
        var template = Array("/tmp/ttbatch-px-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw PostgresServerFailure(words: "no folder can be made in /tmp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard Self.withAddress(of: folder, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw PostgresServerFailure(words: "the proxy cannot listen: \(String(cString: strerror(errno)))")
        }
        DetachedThread.start("proxy") { [self, listener] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                DetachedThread.start("proxy-client") { self.serve(client) }
            }
        }
    }

    /// Whether a connection was cut at its message.
    package var hasCut: Bool { state.withLock { $0.wasCut } }

    /// Changes what is wrong, for the connections that there are, too.
    package func set(_ fault: Fault) {
        state.withLock { state in
            state.fault = fault
            switch fault {
            case .cut(_, let messages): (state.messagesLeft, state.wasCut) = (messages, false)
            case .refusing: for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) }
            case .none, .silent, .slow, .bytewise: break
            }
        }
    }

    /// Takes no more connections.
    package func end() {
        set(.none)
        state.withLock { $0.isEnded = true }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func withAddress(
        of folder: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: "\(folder)/.s.PGSQL.5432".utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    // MARK: - One connection

    private func serve(_ client: Int32) {
        let backend = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let isWelcome = state.withLock { state in
            guard state.fault != .refusing else { return false }
            state.clients.insert(client)
            return true
        }
        defer {
            // Under the lock, so that no other connection with this number is meant.
            state.withLock { state in
                state.clients.remove(client)
                shutdown(client, Int32(SHUT_RDWR))
                shutdown(backend, Int32(SHUT_RDWR))
                close(client)
                close(backend)
            }
        }
        guard isWelcome, Self.withAddress(of: server, { connect(backend, $0, $1) }) == 0 else { return }
        // Answers go to the client on a thread of their own, until it is to get none.
        let (answered, hasEnded) = (Event(), Event())
        let muted = MutedFlag()
        DetachedThread.start("proxy-server") { [self] in
            while let message = Self.read(backend, hasType: true) {
                // ReadyForQuery, or CopyInResponse: it waits for rows now.
                if [UInt8(ascii: "Z"), UInt8(ascii: "G")].contains(message[0]) { answered.signal() }
                if !muted.value, !pass(message, .toClient, client) { break }
            }
            shutdown(client, Int32(SHUT_RDWR))
            answered.signal()
            hasEnded.signal()
        }
        defer {
            shutdown(backend, Int32(SHUT_RDWR))
            hasEnded.wait()
        }
        var isFirst = true
        while let message = Self.read(client, hasType: !isFirst) {
            let cut = isFirst ? nil : cutHere(message)
            isFirst = false
            if cut == .before { return }
            if cut == .after { muted.value = true }
            let answers = answered.current
            guard pass(message, .toServer, backend) else { return }
            guard cut == .after else { continue }
            // Until what it asks for has been done, as far as the server does it without more.
            answered.wait(times: answers + 1)
            return
        }
    }

    /// Passes a message on, as the network is.
    private func pass(_ message: [UInt8], _ direction: Direction, _ descriptor: Int32) -> Bool {
        switch state.withLock({ $0.fault }) {
        case .silent(direction):
            while state.withLock({ $0.fault }) == .silent(direction) { usleep(10_000) }
            return pass(message, direction, descriptor)
        case .slow(let milliseconds):
            usleep(UInt32(milliseconds) * 1000)
            return Self.write(message, to: descriptor)
        case .bytewise: return message.allSatisfy { Self.write([$0], to: descriptor) }
        case .none, .cut, .silent, .refusing: return Self.write(message, to: descriptor)
        }
    }

    /// Query, Sync and CopyDone.
    private static let ends = Array("QSc".utf8)

    /// What happens at this message.
    private func cutHere(_ message: [UInt8]) -> Cut? {
        // Queries, and what ends a group of messages: before that nothing is done, and the end of a session is no news.
        guard Self.ends.contains(message[0]) else { return nil }
        return state.withLock { state in
            guard case .cut(let cut, _) = state.fault, !state.wasCut, !state.isEnded else { return nil }
            state.messagesLeft -= 1
            guard state.messagesLeft < 0 else { return nil }
            state.wasCut = true
            return cut
        }
    }

    private final class MutedFlag: Sendable {
        private let flag = Mutex(false)
        var value: Bool {
            get { flag.withLock { $0 } }
            set { flag.withLock { $0 = newValue } }
        }
    }

    // MARK: - Frames

    /// A message: a type, except for the first one, a length that counts itself, and the rest.
    private static func read(_ descriptor: Int32, hasType: Bool) -> [UInt8]? {
        let head = hasType ? 5 : 4
        guard var message = read(descriptor, count: head) else { return nil }
        let length = message[(head - 4)...].reduce(0) { $0 << 8 | Int($1) }
        guard length >= 4, let rest = read(descriptor, count: length - 4) else { return nil }
        message += rest
        return message
    }

    private static func read(_ descriptor: Int32, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let read = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + done, count - done) }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { return nil }
            done += read
        }
        return bytes
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var done = 0
        while done < bytes.count {
            let sent = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            if sent < 0, errno == EINTR { continue }
            guard sent > 0 else { return false }
            done += sent
        }
        return true
    }
}
