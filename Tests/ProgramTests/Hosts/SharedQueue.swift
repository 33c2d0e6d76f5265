// A queue in PostgreSQL, and the daemons of several hosts that share it.

import Foundation
import TestSupport
import Testing

/// A database on a server of the tests, and the program run on it.
final class SharedQueue: Sendable {
    let server: PostgresServer
    let workspace: Workspace
    let name = "q" + UUID().uuidString.filter(\.isHexDigit).lowercased()

    init(on server: PostgresServer) throws {
        self.server = server
        workspace = try Workspace()
        try server.sql("CREATE DATABASE \(name)")
    }

    deinit { _ = try? server.sql("DROP DATABASE \(name) WITH (FORCE)") }

    /// Its address.
    ///
    /// - Parameter proxy: what lies between, if anything does.
    func uri(by proxy: PostgresProxy? = nil) -> String { server.uri(name, by: proxy?.folder) }

    /// Runs a verb on it.
    func run(_ arguments: [String], by proxy: PostgresProxy? = nil) throws -> Outcome {
        try workspace.run(arguments, environment: ["TTBATCH_DB": uri(by: proxy)])
    }

    func run(_ arguments: String...) throws -> Outcome { try run(arguments) }

    /// Runs a verb that must succeed.
    @discardableResult
    func done(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws -> [String] {
        let outcome = try run(arguments)
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)", sourceLocation: location)
        return outcome.lines
    }

    /// Asks the server.
    @discardableResult
    func sql(_ text: String) throws -> String {
        try server.sql(text, in: name).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Enqueues requests; returns the batch's id.
    func enqueue(_ lines: [String], location: SourceLocation = #_sourceLocation) throws -> String {
        let file = try workspace.write("\(UUID().uuidString).jsonl", lines: lines)
        return try #require(try done("enqueue", "-q", file, location: location).first, sourceLocation: location)
    }

    /// A batch's results by custom_id, once it has ended.
    func results(_ batch: String, location: SourceLocation = #_sourceLocation) throws -> [String: ResultLine] {
        try eventually("the end of \(batch)", location) { try run("results", batch).status != 7 }
        return try ResultLine.byID(try run("results", batch).lines)
    }

    /// Looks whether the database agrees with itself.
    func check(location: SourceLocation = #_sourceLocation) throws {
        let check = try run("db", "check")
        #expect(check.status == 0, "\(check.output)\(check.errors)", sourceLocation: location)
    }

    /// The hosts as `ttbatch hosts` shows them.
    func hosts() throws -> [[String: Any]] { try run("hosts", "--json").lines.map(jsonObject) }
}

/// The daemon of one host, in all its lives. It is killed with the object.
final class HostDaemon {
    let number: Int
    /// What lies between it and the server.
    let proxy: PostgresProxy?
    private let queue: SharedQueue
    private let settings: [String]
    private let environment: [String: String]
    private let wrapper: [String]
    private var lives: [RunningProgram] = []

    /// - Parameters:
    ///   - settings: as for `--set`.
    ///   - isProxied: whether there is a proxy between it and the server.
    ///   - address: where the queue is, if not there.
    ///   - wrapper: as for `Workspace.start`.
    init(
        _ number: Int, of queue: SharedQueue, _ settings: [String] = [], isProxied: Bool = false,
        at address: String? = nil, environment: [String: String] = [:], wrapper: [String] = []
    ) throws {
        self.wrapper = wrapper
        self.number = number
        self.queue = queue
        proxy = isProxied ? try PostgresProxy(for: queue.server.socketFolder) : nil
        let folder = queue.workspace.path("host-\(number)")
        // A daemon that listens loads its model at once; others leave small batches to those that have it loaded.
        self.settings =
            [
                "state_directory=\(folder)", "server.listen=unix:\(folder).socket", "engine.threads=1",
                "engine.max_num_seqs=2",
            ] + settings
        self.environment = environment.merging(["TTBATCH_DB": address ?? queue.uri(by: proxy)]) { $1 }
    }

    deinit {
        for life in lives { life.send(SIGKILL) }
        proxy?.end()
    }

    func start(_ options: String...) throws {
        lives.append(
            try queue.workspace.start(
                ["daemon"] + options + settings.flatMap { ["--set", $0] }, environment: environment, wrapper: wrapper))
    }

    /// The process.
    var program: RunningProgram { lives.last! }

    var isRunning: Bool { lives.last?.isRunning ?? false }

    /// Its host's power fails.
    func kill() throws {
        program.send(SIGKILL)
        _ = try program.outcome()
    }

    /// Its operator stops it.
    func stop(location: SourceLocation = #_sourceLocation) throws {
        program.send(SIGTERM)
        let outcome = try program.waitForEnd(atMost: .seconds(300), location)
        #expect(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
    }

    /// Starts it, and waits until its model is loaded and it works on the queue.
    func begin(location: SourceLocation = #_sourceLocation) throws {
        try start()
        try says("works on the queue", location: location)
        try says("is ready after", location: location)
    }

    /// Waits for words of its last life.
    func says(_ words: String, location: SourceLocation = #_sourceLocation) throws {
        try eventually("“\(words)” of host \(number): \(program.errorsSoFar)", location) {
            program.errorsSoFar.contains(words)
        }
    }

    /// What all its lives said.
    var log: String {
        lives.map { "— life \($0.process)\n\($0.errorsSoFar)" }.joined()
    }
}
