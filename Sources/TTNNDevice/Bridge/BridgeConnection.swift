// ttbatch's end of the socket: sends and receives frames, each with a deadline and a maximum size.

import Foundation

/// A connected stream socket. Used by one thread at a time.
final class BridgeConnection {
    private let socket: Int32
    private var head = [UInt8](repeating: 0, count: FrameHead.size)
    /// The last answer's payload; its memory is reused.
    private(set) var payload: [UInt8] = []

    /// Takes over `socket`.
    init(socket: Int32) { self.socket = socket }

    deinit { Glibc.close(socket) }

    /// Sends raw bytes.
    func send(_ bytes: [UInt8], until deadline: TimeLimit) throws(BridgeError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    socket, buffer.baseAddress! + sent, buffer.count - sent, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else {
                try waitAfterError(for: POLLOUT, until: deadline)
            }
        }
    }

    /// Receives the answer to `request`; stores its payload, of at most `maxPayload` bytes, in `payload`.
    ///
    /// - Returns: the answer's header.
    func receive(
        _ request: BridgeRequest, maxPayload: Int, until deadline: TimeLimit
    ) throws(BridgeError) -> [UInt8] {
        try fill(&head, until: deadline)
        guard let head = head.withUnsafeBytes({ FrameHead($0) }) else { throw .malformed("no frame begins") }
        let isError = head.kind == FrameHead.errorKind
        guard isError || head.kind == request.rawValue | FrameHead.replyBit else {
            throw .malformed("a frame of kind \(head.kind) to a request of kind \(request.rawValue)")
        }
        // Checked before any memory is allocated for the answer.
        guard head.headerBytes <= FrameHead.maxHeaderBytes, head.payloadBytes <= (isError ? 0 : maxPayload) else {
            throw .malformed("\(head.headerBytes) + \(head.payloadBytes) bytes where at most \(maxPayload) belong")
        }
        var header = [UInt8](repeating: 0, count: head.headerBytes)
        try fill(&header, until: deadline)
        if payload.count != head.payloadBytes { payload = [UInt8](repeating: 0, count: head.payloadBytes) }
        try fill(&payload, until: deadline)
        guard isError else { return header }
        guard let error = try? BridgeCoding.decoder.decode(BridgeErrorHeader.self, from: Data(header)) else {
            throw .malformed("an error without a message")
        }
        switch error.kind {
        case .refused: throw .refused(error.message)
        case .failed: throw .failed(error.message)
        }
    }

    /// Receives everything until the other end closes, at most `limit` bytes.
    func receiveAll(atMost limit: Int, until deadline: TimeLimit) throws(BridgeError) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = part.withUnsafeMutableBytes { recv(socket, $0.baseAddress!, $0.count, Int32(MSG_DONTWAIT)) }
            if count == 0 { return bytes }
            if count < 0 {
                try waitAfterError(for: POLLIN, until: deadline)
                continue
            }
            bytes += part.prefix(count)
            guard bytes.count <= limit else { throw .malformed("more than \(limit) bytes") }
        }
    }

    private func fill(_ buffer: inout [UInt8], until deadline: TimeLimit) throws(BridgeError) {
        var filled = 0
        while filled < buffer.count {
            let count = buffer.withUnsafeMutableBytes { bytes in
                recv(socket, bytes.baseAddress! + filled, bytes.count - filled, Int32(MSG_DONTWAIT))
            }
            if count == 0 { throw .ended }
            if count > 0 {
                filled += count
            } else {
                try waitAfterError(for: POLLIN, until: deadline)
            }
        }
    }

    private func waitAfterError(for events: Int32, until deadline: TimeLimit) throws(BridgeError) {
        switch errno {
        case EINTR: return
        case EAGAIN: break
        case EPIPE, ECONNRESET: throw .ended
        default: throw .system(String(cString: strerror(errno)))
        }
        if deadline.isGivenUp() { throw .givenUp }
        guard let wait = deadline.remainingMilliseconds else { throw .deadlineMissed(seconds: deadline.seconds) }
        var state = pollfd(fd: socket, events: Int16(events), revents: 0)
        _ = poll(&state, 1, min(wait, 500))
    }
}

/// A deadline, by a clock that stops while the machine sleeps.
struct TimeLimit {
    /// The time from its creation to the deadline.
    let seconds: Int
    /// Whether the wait must be abandoned; called about twice a second.
    let isGivenUp: () -> Bool
    private let end: SuspendingClock.Instant

    init(seconds: Int, isGivenUp: @escaping () -> Bool = { false }) {
        self.seconds = seconds
        self.isGivenUp = isGivenUp
        end = .now + .seconds(seconds)
    }

    /// Remaining time, at least 1; `nil` after the deadline.
    var remainingMilliseconds: Int32? {
        let left = SuspendingClock.now.duration(to: end)
        guard left > .zero else { return nil }
        return Int32(
            clamping: max(1, left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000))
    }

    var isOver: Bool { SuspendingClock.now >= end }
}

/// The JSON coding of headers: snake_case, as in Python and Hugging Face's files.
enum BridgeCoding {
    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return encoder
    }()
    static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }()
}
