// A daemon that listens, for tests of its server.

import Foundation
import TestSupport
import Testing

/// A daemon of a workspace, with the tiny model loaded. It is killed with the object.
final class TestServer {
    let workspace: Workspace
    let daemon: RunningProgram
    let place: ServerPlace

    /// Starts it and waits for its model.
    ///
    /// - Parameter address: where it listens; by default on a Unix socket of the workspace.
    init(
        _ workspace: Workspace, at address: String? = nil, _ settings: [String] = [], key: String? = nil
    ) throws {
        self.workspace = workspace
        let listen = address ?? "unix:\(workspace.path("s"))"
        let options = (["server.listen=\(listen)"] + settings).flatMap { ["--set", $0] }
        let daemon = try workspace.start(["daemon"] + options)
        self.daemon = daemon
        place = try #require(try Self.place(of: daemon), "\(daemon.errorsSoFar)")
        let credentials = key.map { ["Authorization: Bearer \($0)"] } ?? []
        try eventually("a model") { try self.connect().request("GET", "/ready", credentials).status == 200 }
    }

    /// Where a daemon listens, once it does; nil if it ends before.
    static func place(of daemon: RunningProgram) throws -> ServerPlace? {
        try eventually("the server to listen: \(daemon.errorsSoFar)") {
            !daemon.isRunning || daemon.errorsSoFar.contains("listening on ")
        }
        let words = daemon.errorsSoFar.components(separatedBy: "listening on ").dropFirst().first
        guard let shown = words?.prefix(while: { !$0.isWhitespace }) else { return nil }
        if shown.hasPrefix("unix:") { return .unix(String(shown.dropFirst(5))) }
        return shown.split(separator: ":").last.flatMap { UInt16($0) }.map { .tcp($0) }
    }

    func connect() throws -> RawConnection { try RawConnection(place) }

    /// One request on a connection of its own.
    func request(
        _ method: String, _ path: String, host: String = "localhost", _ headers: [String] = [], body: String? = nil
    ) throws -> RawAnswer {
        try connect().request(method, path, host: host, headers, body: body)
    }

    /// A request for a completion or a chat.
    func post(_ path: String, _ body: String, _ headers: [String] = []) throws -> RawAnswer {
        try request("POST", path, headers, body: body)
    }

    /// Ends it as an operator does.
    func stop(_ location: SourceLocation = #_sourceLocation) throws {
        daemon.send(SIGTERM)
        let outcome = try daemon.waitForEnd()
        #expect(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
    }
}

/// The body of an upload, with the boundary `b`.
func batchForm(_ content: String, filename: String = "in.jsonl", purpose: String? = "batch") -> String {
    let text = purpose.map { "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n\($0)\r\n" } ?? ""
    return text + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(filename)\"\r\n"
        + "Content-Type: application/octet-stream\r\n\r\n\(content)\r\n--b--\r\n"
}
