// A connection on which tests send what they like, byte by byte, to a server.

import Foundation
import Testing

/// Where a server listens.
enum ServerPlace {
    case unix(String)
    case tcp(UInt16)
}

/// An answer as it came.
struct RawAnswer {
    let status: Int
    /// By their names in lower case; `set-cookie` and the like are not repeated here.
    let headers: [String: String]
    let body: String

    var error: [String: Any]? { (try? jsonObject(body))?["error"] as? [String: Any] }
    var code: String? { error?["code"] as? String }
}

/// A client's end of a connection. Reads give up, with a failure of the test, after two minutes.
final class RawConnection {
    private let descriptor: Int32
    private var received: [UInt8] = []
    private var hasEnded = false

    init(_ place: ServerPlace) throws {
        switch place {
        case .unix(let path):
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            try Self.connect(descriptor, &address)
        case .tcp(let port):
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            try Self.connect(descriptor, &address)
        }
    }

    private static func connect<Address>(_ descriptor: Int32, _ address: inout Address) throws {
        let size = socklen_t(MemoryLayout<Address>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, size) }
        }
        guard status == 0 else {
            let code = POSIXErrorCode(rawValue: errno) ?? .EINVAL
            close(descriptor)
            throw POSIXError(code)
        }
    }

    deinit { close(descriptor) }

    /// Has TCP end the connection by a reset, as a program that dies does, once nobody has the object any more.
    func resetAtEnd() {
        var end = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &end, socklen_t(MemoryLayout<linger>.size))
    }

    /// Sends all of `text`; whether the server took it.
    @discardableResult
    func send(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Sends what the server takes without waiting; nil if the connection has ended.
    func sendSome(_ text: String) -> Int? {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = Array(text.utf8).withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
        if count >= 0 { return count }
        return errno == EAGAIN ? 0 : nil
    }

    /// A request with these header lines, and a body if there is one.
    func request(
        _ method: String, _ path: String, host: String = "localhost", _ headers: [String] = [], body: String? = nil
    ) throws -> RawAnswer {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: \(host)"] + headers
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        send(lines.map { $0 + "\r\n" }.joined() + "\r\n" + (body ?? ""))
        return try answer()
    }

    /// The next answer, whole; those that only announce another one are skipped unless `announcing`. One `toHead` has no body.
    func answer(announcing: Bool = false, toHead: Bool = false) throws -> RawAnswer {
        while true {
            let head = try take(through: "\r\n\r\n").components(separatedBy: "\r\n")
            let status = Int(head[0].split(separator: " ").dropFirst().first ?? "") ?? 0
            var headers: [String: String] = [:]
            for line in head.dropFirst() where line.contains(":") {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            if (100..<200).contains(status), !announcing { continue }
            return RawAnswer(status: status, headers: headers, body: toHead ? "" : try body(headers))
        }
    }

    private func body(_ headers: [String: String]) throws -> String {
        if let length = headers["content-length"].flatMap({ Int($0) }) { return try take(length) }
        guard headers["transfer-encoding"] == "chunked" else { return "" }
        var body = ""
        // The end of a line is one character.
        while let size = Int(try take(through: "\r\n").dropLast(), radix: 16) {
            body += try take(size + 2).dropLast()
            if size == 0 { return body }
        }
        throw EndOfConnection()
    }

    /// Waits for the beginning of an answer.
    func waitForAnswer() throws { while received.isEmpty { try receiveMore() } }

    /// Waits for the server to end the connection; what came before is dropped.
    func waitForEnd() throws {
        while !hasEnded {
            received = []
            try receive()
        }
    }

    private func take(through end: String) throws -> String {
        let end = Array(end.utf8)
        while true {
            if let range = Data(received).range(of: Data(end)) { return try take(range.upperBound) }
            try receiveMore()
        }
    }

    private func take(_ count: Int) throws -> String {
        while received.count < count { try receiveMore() }
        defer { received.removeFirst(count) }
        return String(decoding: received.prefix(count), as: UTF8.self)
    }

    private func receiveMore() throws {
        guard !hasEnded else { throw EndOfConnection() }
        try receive()
    }

    private func receive() throws {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 120_000) == 1 else {
            Issue.record("the server neither sends nor ends the connection")
            throw WaitedInVain()
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 { received += buffer[..<count] } else { hasEnded = true }
    }
}

/// The connection ended before the answer did.
struct EndOfConnection: Error {}
