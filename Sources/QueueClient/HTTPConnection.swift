// One connection to a server, over libcurl: a request, its whole answer, and what went wrong on the way.

import CCurl
import Foundation
import StoreContract
import Synchronization

/// An answer of the server.
struct HTTPAnswer {
    let status: Int
    let body: Data
}

/// Why there is no answer.
enum NoAnswer: Error {
    /// No byte of the request was sent, so that nothing can have happened.
    case notAsked(String)
    /// The request was sent at least in part. What became of it is not known.
    case brokenOff(String)
    /// libcurl cannot be used.
    case noLibrary(String)
}

/// The body of a request: it gives at most as many bytes as there is room for, 0 at its end, nil to give up.
typealias BodyInput = (UnsafeMutableRawBufferPointer) -> Int?

/// A connection to a server; requests of several threads take turns.
final class HTTPConnection: @unchecked Sendable {
    // Only accessed while the lock is held.
    private var handle: OpaquePointer?
    private let lock = NSLock()
    private let server: ServerURL
    private let key: ShownKey?

    init(_ server: ServerURL, key: ShownKey?) {
        self.server = server
        self.key = key
    }

    deinit {
        if let handle { ccurl_close(handle) }
    }

    /// Makes a request.
    ///
    /// - Parameters:
    ///   - path: with its query, after the server's address.
    ///   - length: of the body in bytes; nil: nobody knows.
    ///   - stallSeconds: after which the request is given up if not a byte moves.
    func send(
        _ method: Method, _ path: String, headers: [String] = [], body: BodyInput? = nil, length: Int64? = nil,
        stallSeconds: Int = 60
    ) throws(NoAnswer) -> HTTPAnswer {
        lock.lock()
        defer { lock.unlock() }
        if let reason = Self.whyNoLibrary { throw .noLibrary(reason) }
        if handle == nil { handle = ccurl_open() }
        guard let handle else { throw .notAsked("out of memory") }
        // Without an Expect header the server need not be asked first whether it wants the body.
        var lines = ["Accept: application/json", "User-Agent: ttbatch", "Expect:"] + headers
        if let key { lines.append("Authorization: Bearer \(key.text)") }
        let exchange = Exchange(body)
        var answer = ccurl_answer()
        withExtendedLifetime(exchange) {
            let header = lines.map { strdup($0) }
            defer { for line in header { free(line) } }
            (server.base + path).withCString { url in
                let pointers: [UnsafePointer<CChar>?] = header.map { UnsafePointer($0) } + [nil]
                pointers.withUnsafeBufferPointer { pointers in
                    func perform(_ socket: UnsafePointer<CChar>?) {
                        var request = ccurl_request()
                        request.url = url
                        request.unix_socket = socket
                        request.is_get = method == .get
                        request.is_direct = server.isLocal
                        request.headers = pointers.baseAddress
                        request.input = body == nil ? nil : Exchange.input
                        request.length = length ?? -1
                        request.output = Exchange.output
                        request.context = Unmanaged.passUnretained(exchange).toOpaque()
                        request.stall_seconds = stallSeconds
                        ccurl_perform(handle, &request, &answer)
                    }
                    if let socket = server.socket { socket.withCString { perform($0) } } else { perform(nil) }
                }
            }
        }
        guard answer.is_whole else {
            let reason = withUnsafeBytes(of: answer.reason) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            throw answer.was_sent ? .brokenOff(reason) : .notAsked(reason)
        }
        return HTTPAnswer(status: answer.status, body: exchange.answer)
    }

    enum Method { case get, post }

    /// Why libcurl cannot be loaded; nil if it is.
    private static let whyNoLibrary = ccurl_load().map { String(cString: $0) }

    /// What libcurl's callbacks read and write during a request.
    private final class Exchange {
        let body: BodyInput?
        var answer = Data()

        init(_ body: BodyInput?) { self.body = body }

        static let input: ccurl_input = { bytes, size, room, context in
            let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
            let output = UnsafeMutableRawBufferPointer(start: bytes, count: size * room)
            return exchange.body?(output) ?? Int(CCURL_ABORT)
        }

        static let output: ccurl_output = { bytes, size, count, context in
            let exchange = Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
            exchange.answer.append(UnsafeRawBufferPointer(start: bytes, count: size * count).bindMemory(to: UInt8.self))
            return size * count
        }
    }
}
