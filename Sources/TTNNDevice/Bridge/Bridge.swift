// A running bridge process: requests with deadlines, and its shutdown, orderly or forced.

import Foundation
import Platform
import TTNNSettings

/// The process that owns a mesh. Used by one thread at a time.
///
/// After an unanswered request no more requests are sent, because the device's state is unknown.
final class Bridge {
    /// The settings that it was started with.
    let configuration: BridgeConfiguration
    private let process: ChildProcess
    private let recovery: DeviceRecovery
    private let user: DeviceUser
    private var connection: BridgeConnection?
    private var frame: [UInt8] = []
    private var hasFailed = false
    private var hasShutDown = false
    /// Whether the bridge has received a request that uses the cards.
    private var touchesDevices = false
    /// Maximum payload of a request, in bytes.
    static let maxRequestPayload = 1 << 30

    /// Starts the interpreter with the bridge's sources and sends `hello`.
    ///
    /// - Throws: `TTNNError.cannotStart`.
    init(
        _ configuration: BridgeConfiguration, environment: [String: String], recovery: DeviceRecovery,
        user: DeviceUser
    ) throws {
        self.configuration = configuration
        self.recovery = recovery
        self.user = user
        do throws(BridgeError) {
            let started = try ChildProcess.start(
                configuration.python, BridgeProgram.arguments(.serve, socket: ChildProcess.childSocket),
                environment: environment, log: user.log)
            process = started.process
            connection = BridgeConnection(socket: started.socket)
            recovery.bridgeHasStarted()
        } catch {
            throw TTNNError.cannotStart(python: configuration.python, reason: error.description)
        }
        do {
            try connection?.send(BridgeProgram.sources(), until: TimeLimit(seconds: configuration.openDeadline))
            let answer: HelloAnswer = try request(
                .hello, HelloHeader(maxPayloadBytes: Self.maxRequestPayload), seconds: configuration.openDeadline)
            guard answer.protocol == FrameHead.protocolVersion else {
                throw BridgeError.malformed("protocol \(answer.protocol)")
            }
            log(.debug, "the bridge has pid \(process.pid) and Python \(answer.python)")
        } catch {
            var reason = (error as? DeviceFault)?.reason ?? "\(error)"
            // It may have ended before the first request.
            if error is BridgeError, let end = process.wait(until: TimeLimit(seconds: 2)) { reason += ": \(end)" }
            throw TTNNError.cannotStart(python: configuration.python, reason: reason)
        }
    }

    deinit { shutDown() }

    /// Logs a line for the user of the device.
    func log(_ level: DeviceLogLevel, _ line: String) { user.log(level, line) }

    /// Sends a request and decodes the answer's header.
    ///
    /// - Throws: `TTNNError.refused`, or a `DeviceFault`.
    func request<Answer: Decodable>(
        _ kind: BridgeRequest, _ header: some Encodable, seconds: Int
    ) throws -> Answer {
        try answering(kind) { () throws(BridgeError) in
            guard let text = try? BridgeCoding.encoder.encode(header) else {
                throw .system("a header cannot be written")
            }
            if kind != .hello { touchesDevices = true }
            let deadline = TimeLimit(seconds: seconds, isGivenUp: user.isStopping)
            frame.removeAll(keepingCapacity: true)
            FrameHead(kind: kind.rawValue, headerBytes: text.count, payloadBytes: 0).append(to: &frame)
            frame += text
            let connection = try usable()
            try connection.send(frame, until: deadline)
            let answer = try connection.receive(kind, maxPayload: 0, until: deadline)
            let data = answer.isEmpty ? Data("{}".utf8) : Data(answer)
            do {
                return try BridgeCoding.decoder.decode(Answer.self, from: data)
            } catch {
                throw .malformed("\(error)")
            }
        }
    }

    /// Sends a step; `fill` appends its payload.
    func send(
        _ kind: BridgeRequest, until deadline: TimeLimit, _ fill: (inout [UInt8]) -> Void
    ) throws(DeviceFault) {
        try faulting(kind) { () throws(BridgeError) in
            frame.removeAll(keepingCapacity: true)
            frame.append(contentsOf: repeatElement(0, count: FrameHead.size))
            fill(&frame)
            var head: [UInt8] = []
            FrameHead(kind: kind.rawValue, headerBytes: 0, payloadBytes: frame.count - FrameHead.size).append(to: &head)
            frame.replaceSubrange(0..<FrameHead.size, with: head)
            try usable().send(frame, until: deadline)
        }
    }

    /// Receives a step's output of at most `maxPayload` bytes and passes it to `read`.
    func receive<Output>(
        _ kind: BridgeRequest, maxPayload: Int, until deadline: TimeLimit,
        _ read: (UnsafeRawBufferPointer) throws(BridgeError) -> Output
    ) throws(DeviceFault) -> Output {
        try faulting(kind) { () throws(BridgeError) in
            let connection = try usable()
            _ = try connection.receive(kind, maxPayload: maxPayload, until: deadline)
            var output: Result<Output, BridgeError>?
            connection.payload.withUnsafeBytes { bytes in
                do throws(BridgeError) { output = .success(try read(bytes)) } catch { output = .failure(error) }
            }
            return try output!.get()
        }
    }

    /// Shuts the bridge down: orderly if it answers, forced after the grace period otherwise. Then the cards are reset
    /// if their state may be bad. Idempotent.
    func shutDown() {
        guard !hasShutDown else { return }
        hasShutDown = true
        let grace = TimeLimit(seconds: configuration.stopGrace)
        if !hasFailed, let connection {
            var frame: [UInt8] = []
            FrameHead(kind: BridgeRequest.close.rawValue, headerBytes: 0, payloadBytes: 0).append(to: &frame)
            do throws(BridgeError) {
                try connection.send(frame, until: grace)
                _ = try connection.receive(.close, maxPayload: 0, until: grace)
            } catch {
                log(.error, "the mesh was not closed: \(error)")
                process.send(SIGTERM)
            }
        } else if process.wait(until: TimeLimit(seconds: 0)) == nil {
            log(
                .warning,
                "stopping the bridge (pid \(process.pid)); it has \(configuration.stopGrace) s to close the mesh")
            process.send(SIGTERM)
        }
        connection = nil
        if process.wait(until: grace) == nil {
            log(.error, "the bridge (pid \(process.pid)) does not end: killing it")
            process.send(SIGKILL)
            process.wait(until: TimeLimit(seconds: 30))
        }
        if process.end != .exited(0) {
            let words = process.end.map { "the bridge did not end in order: \($0)" } ?? "the bridge cannot be killed"
            log(.warning, words)
        }
        // A device that hung is reset even if its mesh could be closed.
        let isInDisorder = touchesDevices && (process.end != .exited(0) || hasFailed)
        recovery.bridgeHasEnded(inDisorder: isInDisorder, configuration, user.log)
    }

    private func usable() throws(BridgeError) -> BridgeConnection {
        guard !hasFailed, let connection else { throw .ended }
        return connection
    }

    /// Runs a request before the first step; a refusal is a `TTNNError`, not a device fault.
    private func answering<Answer>(
        _ kind: BridgeRequest, _ body: () throws(BridgeError) -> Answer
    ) throws -> Answer {
        do throws(BridgeError) {
            return try body()
        } catch {
            if case .refused(let reason) = error { throw TTNNError.refused(operation: kind.operation, reason: reason) }
            throw fault(kind, error)
        }
    }

    private func faulting<Output>(
        _ kind: BridgeRequest, _ body: () throws(BridgeError) -> Output
    ) throws(DeviceFault) -> Output {
        do throws(BridgeError) { return try body() } catch { throw fault(kind, error) }
    }

    private func fault(_ kind: BridgeRequest, _ error: BridgeError) -> DeviceFault {
        var reason = error.description
        if !error.leavesConnection { hasFailed = true }
        if case .ended = error, let end = process.wait(until: TimeLimit(seconds: 2)) { reason += ": \(end)" }
        if case .refused = error {
            return DeviceFault(operation: kind.operation, reason: reason, cause: .settings)
        }
        return DeviceFault(operation: kind.operation, reason: reason)
    }
}
