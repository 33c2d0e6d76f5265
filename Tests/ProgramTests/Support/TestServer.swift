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
        try eventually("the server to listen: \(daemon.errorsSoFar)") {
            !daemon.isRunning || daemon.errorsSoFar.contains("listening on ")
        }
        let words = try #require(
            daemon.errorsSoFar.components(separatedBy: "listening on ").dropFirst().first, "\(daemon.errorsSoFar)")
        let shown = words.prefix { !$0.isWhitespace }
        if shown.hasPrefix("unix:") {
            place = .unix(String(shown.dropFirst(5)))
        } else {
            place = .tcp(try #require(UInt16(shown.split(separator: ":").last ?? "")))
        }
        let credentials = key.map { ["Authorization: Bearer \($0)"] } ?? []
        try eventually("a model") { try self.connect().request("GET", "/ready", credentials).status == 200 }
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
