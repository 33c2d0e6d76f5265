// A fresh database for each test, on one server for all of them.

import Foundation
import PostgresClient
import PostgresStore
import Runtime
import Synchronization
import TestSupport

/// An empty queue's database, a copy of one that was made once.
final class PostgresDatabase: Sendable {
    let address: PostgresAddress
    /// A folder as a daemon has one.
    let stateDirectory: String
    private let name: String
    private let folder: TemporaryFolder

    private static let server = Result {
        let server = try PostgresServer()
        try server.sql("CREATE DATABASE template_queue")
        let address = PostgresAddress(server.uri("template_queue"))!
        _ = try PostgresJobStore(address, stateDirectory: server.socketFolder, patience: .seconds(60), at: 0)
        return server
    }

    /// Makes and drops databases.
    private static let maker = Mutex<PostgresConnection?>(nil)

    private static func execute(_ sql: String) throws {
        let server = try server.get()
        try maker.withLock { slot in
            var connection =
                try slot.take()
                ?? PostgresConnection.connect(
                    to: PostgresAddress(server.uri())!, for: "tests", patience: .seconds(120))
            try connection.execute(sql)
            slot = consume connection
        }
    }

    init() throws {
        folder = try TemporaryFolder()
        name = "q" + UUID().uuidString.filter(\.isHexDigit).lowercased()
        try Self.execute("CREATE DATABASE \(name) TEMPLATE template_queue")
        address = PostgresAddress(try Self.server.get().uri(name))!
        stateDirectory = folder.url.path
    }

    /// The folder of the server's socket.
    var socketFolder: String { get throws { try Self.server.get().socketFolder } }

    /// Its address as text.
    var uri: String { get throws { try Self.server.get().uri(name) } }

    /// Its address by another socket.
    func address(by folder: String) throws -> PostgresAddress {
        PostgresAddress(try Self.server.get().uri(name, by: folder))!
    }

    /// Runs SQL in it.
    func execute(_ sql: String) throws {
        var connection = try PostgresConnection.connect(to: address, for: "tests", patience: .seconds(60))
        try connection.execute(sql)
    }

    deinit { try? Self.execute("DROP DATABASE \(name) WITH (FORCE)") }
}
