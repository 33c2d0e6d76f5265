// The client against a real server.

import Foundation
import Glibc
import PostgresClient
import Synchronization
import TestSupport
import Testing

/// One server for all of these tests.
private let server = Result { try PostgresServer(["max_prepared_transactions = 0"]) }

@Suite("PostgreSQL client", .enabled(if: PostgresServer.programs != nil))
struct PostgresClientTests {
    private let address: PostgresAddress
    private let database: String

    /// A database of its own for each test.
    init() throws {
        database = "t" + UUID().uuidString.filter(\.isHexDigit).lowercased()
        try server.get().sql("CREATE DATABASE \(database)")
        address = try #require(PostgresAddress(server.get().uri(database)))
    }

    private func connect(_ patience: Duration = .seconds(20)) throws -> PostgresConnection {
        try PostgresConnection.connect(to: address, for: "tests", patience: patience)
    }

    private func sql(_ text: String) throws { try server.get().sql(text, in: database) }

    // MARK: - Values

    @Test func valuesGoAndComeBack() throws {
        var connection = try connect()
        let bytes: [UInt8] = [0, 1, 0xFF, 0]
        let found = try connection.row(
            "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11", Int64.min, 7, Int32(-3), 0.1, true, "né ☃", bytes,
            Int64?.none, "", [UInt8](), false
        ) { row in
            #expect(row.int64(0) == .min && row.int(1) == 7 && row.int32(2) == -3 && row.int(2) == -3)
            #expect(row.double(3) == 0.1 && row.bool(4) && !row.bool(10))
            #expect(row.text(5) == "né ☃" && row.bytes(6) == bytes)
            #expect(row.isNull(7) && row.optionalInt64(7) == nil && !row.isNull(8) && !row.isNull(9))
            #expect(row.text(8) == "" && row.bytes(9) == [] && row.optionalText(8) == "" && row.optionalBytes(7) == nil)
            return true
        }
        #expect(found == true)
    }

    @Test func arraysGoAndComeBack() throws {
        var connection = try connect()
        let (numbers, texts): ([Int64], [String]) = ([3, -1, .max], ["", "a,b", "\"{}\\"])
        let blobs: [[UInt8]] = [[], [0, 1], Array("é".utf8)]
        try connection.row(
            "SELECT $1, $2, $3, $4, array_length($1, 1)", PostgresArray(numbers), PostgresArray(texts),
            PostgresArray(blobs), PostgresArray([Int64]())
        ) { row in
            #expect(row.array(0) == numbers && row.array(1) == texts && row.array(2) == blobs)
            #expect(row.array(3, of: Int64.self).isEmpty && row.int(4) == 3)
        }
    }

    /// The server has no text with U+0000, so what people write is bytes.
    @Test func nulIsOfBytesOnly() throws {
        var connection = try connect()
        let error = #expect(throws: PostgresError.self) { try connection.row("SELECT $1", "a\0b") { _ in } }
        #expect(error?.state == .notText)
        let text = try connection.row("SELECT $1", Array("a\0b".utf8)) { $0.text(0) }
        #expect(text == "a\0b")
    }

    // MARK: - Statements

    @Test func whatIsRefusedLeavesTheConnectionAsItWas() throws {
        var connection = try connect()
        try connection.execute(
            "CREATE TABLE t (id int8 CONSTRAINT one_of_each PRIMARY KEY, v int4); INSERT INTO t VALUES (1, 1)")
        for _ in 0..<2 {
            let error = #expect(throws: PostgresError.self) {
                try connection.run("INSERT INTO t VALUES ($1, $2)", 1, 2)
            }
            #expect(error?.state == .uniqueViolation && error?.constraint == "one_of_each")
            #expect("\(try #require(error))".contains("(23505)"))
        }
        #expect(throws: PostgresError.self) { try connection.run("SELEC 1") }
        #expect(throws: PostgresError.self) { try connection.row("SELECT 1 / $1", Int64(0)) { _ in } }
        #expect(try connection.run("INSERT INTO t SELECT g, 0 FROM generate_series(2, $1) g", 5) == 4)
        #expect(try connection.run("UPDATE t SET v = v + $1 WHERE id > $2", 1, 3) == 2)
        #expect(try connection.number("SELECT count(*) FROM t") == 5)
        #expect(try connection.rows("SELECT id FROM t ORDER BY id DESC LIMIT $1", 2) { $0.int64(0) } == [5, 4])
        #expect(try connection.row("SELECT id FROM t WHERE id = $1", 9) { $0.int64(0) } == nil)
        let isLost = connection.isLost
        #expect(!isLost)
    }

    /// Somebody changes the table under a statement that is prepared.
    @Test func aChangeOfTheSchemaIsNoError() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (a int8); INSERT INTO t VALUES (1)")
        #expect(try connection.rows("SELECT * FROM t") { $0.int64(0) } == [1])
        try sql("ALTER TABLE t ADD b int8 DEFAULT 2")
        #expect(try connection.rows("SELECT * FROM t") { $0.int64(1) } == [2])
        try sql("ALTER TABLE t ADD c int8 DEFAULT 3")
        // In a transaction the whole of it would have to be repeated; the caller is told.
        let error = #expect(throws: PostgresError.self) {
            try connection.transaction { try $0.rows("SELECT * FROM t") { $0.int64(2) } }
        }
        #expect(error?.state == .changedColumns)
        #expect(try connection.rows("SELECT * FROM t") { $0.int64(2) } == [3])
    }

    @Test func manyRowsTakeNoMemory() throws {
        var connection = try connect()
        var (sum, count): (Int64, Int) = (0, 0)
        try connection.forEachRow("SELECT g::int8, repeat('x', 100) FROM generate_series(1, $1) g", 200_000) { row in
            sum += row.int64(0)
            count += 1
        }
        #expect(count == 200_000 && sum == 20_000_100_000)
        #expect(try connection.number("SELECT 7::int8") == 7)
    }

    // MARK: - Transactions

    @Test func aTransactionIsWholeOrNothing() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
        struct GivenUp: Error {}
        #expect(throws: GivenUp.self) {
            try connection.transaction { transaction in
                try transaction.run("INSERT INTO t VALUES ($1)", 1)
                throw GivenUp()
            }
        }
        #expect(throws: PostgresError.self) {
            try connection.transaction { transaction in
                try transaction.run("INSERT INTO t VALUES ($1)", 1)
                // What is swallowed here has ended the transaction all the same.
                _ = try? transaction.run("SELECT 1 / $1", 0)
            }
        }
        #expect(try connection.number("SELECT count(*) FROM t") == 0)
        #expect(try connection.transaction { try $0.run("INSERT INTO t VALUES ($1)", 1) } == 1)
        #expect(try connection.number("SELECT count(*) FROM t") == 1)
    }

    /// Two transactions that wait for each other: the server ends one, and it is repeated.
    @Test func aDeadlockIsRepeated() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY, v int8 DEFAULT 0); INSERT INTO t VALUES (1), (2)")
        let both = Event()
        let failures = Mutex<[String]>([])
        let threads = [[1, 2], [2, 1]].map { order in
            onThread {
                do {
                    var connection = try connect()
                    var isFirst = true
                    try connection.transaction { transaction in
                        for (number, id) in order.enumerated() {
                            try transaction.run("UPDATE t SET v = v + 1 WHERE id = $1", id)
                            guard number == 0, isFirst else { continue }
                            isFirst = false
                            both.signal()
                            both.wait(times: 2)
                        }
                    }
                } catch { failures.withLock { $0.append("\(error)") } }
            }
        }
        for thread in threads { thread.wait() }
        #expect(failures.withLock { $0 }.isEmpty)
        #expect(try connection.rows("SELECT v FROM t ORDER BY id") { $0.int64(0) } == [2, 2])
    }

    @Test func statementsTogetherAreWholeOrNothing() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
        func insert(_ id: Int) -> PostgresStatement { PostgresStatement("INSERT INTO t VALUES ($1)", id) }
        let all = (0..<500).map { insert($0) } + [PostgresStatement("UPDATE t SET id = id + 1000 WHERE id < $1", 10)]
        #expect(try connection.run(together: all) == Array(repeating: 1, count: 500) + [10])
        let error = #expect(throws: PostgresError.self) {
            try connection.run(together: [insert(1), insert(400), insert(2)])
        }
        #expect(error?.state == .uniqueViolation)
        #expect(try connection.number("SELECT count(*) FROM t") == 500)
        #expect(try connection.run(together: []).isEmpty)
    }

    @Test func whatNobodyWaitsForComesBeforeTheNextStatement() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
        let counts = try connection.transaction { db in
            try db.runLater("INSERT INTO t VALUES ($1)", 1)
            try db.runLater("INSERT INTO t VALUES ($1)", 2)
            let seen = try db.number("SELECT count(*) FROM t")
            try db.runLater("INSERT INTO t VALUES ($1)", 3)
            let together = try db.run(together: [PostgresStatement("UPDATE t SET id = id + $1", 10)])
            try db.runLater("DELETE FROM t WHERE id = $1", 13)
            return [Int(seen)] + together
        }
        #expect(counts == [2, 3])
        #expect(try connection.rows("SELECT id FROM t ORDER BY id") { $0.int64(0) } == [11, 12])
    }

    @Test func whatNobodyWaitsForFailsTheTransaction() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
        for isLast in [false, true] {
            let error = #expect(throws: PostgresError.self) {
                try connection.transaction { db in
                    try db.run("INSERT INTO t VALUES ($1)", 1)
                    try db.runLater("INSERT INTO t VALUES ($1)", 1)
                    if !isLast { try db.run("INSERT INTO t VALUES ($1)", 2) }
                }
            }
            #expect(error?.state == .uniqueViolation)
        }
        // What was not sent when a transaction was given up is never sent.
        #expect(throws: CancellationError.self) {
            try connection.transaction { db in
                try db.runLater("INSERT INTO t VALUES ($1)", 3)
                throw CancellationError()
            }
        }
        #expect(try connection.number("SELECT count(*) FROM t") == 0)
    }

    @Test func arraysMayHaveNulls() throws {
        var connection = try connect()
        let rows = try connection.rows(
            "SELECT a, b, c FROM unnest($1, $2, $3) AS t (a, b, c)", PostgresArray<Int64?>([1, nil]),
            PostgresArray<[UInt8]?>([nil, []]), PostgresArray<Bool?>([nil, true])
        ) { ($0.optionalInt64(0), $0.optionalBytes(1), $0.isNull(2) ? nil : $0.bool(2)) }
        #expect(rows.map(\.0) == [1, nil] && rows.map(\.1) == [nil, []] && rows.map(\.2) == [nil, true])
    }

    // MARK: - COPY

    @Test func manyRowsAreCopied() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY, body bytea, v int4, note text)")
        var next = 0
        let count = try connection.copy(into: "t (id, body, v, note)") { rows in
            for _ in 0..<1000 {
                let body: [UInt8]? = next % 3 == 0 ? nil : Array(repeating: UInt8(next % 256), count: next % 300)
                rows.append(next, body, Int32(next), "row \(next)")
                next += 1
            }
            return next < 50_000
        }
        #expect(count == 50_000)
        try connection.row(
            "SELECT count(*), count(body), sum(length(body))::int8, min(note) FROM t"
        ) { row in
            let lengths = (0..<50_000).filter { $0 % 3 != 0 }.map { $0 % 300 }
            #expect(row.int64(0) == 50_000 && row.int(1) == lengths.count && row.int(2) == lengths.reduce(0, +))
            #expect(row.text(3) == "row 0")
        }
    }

    @Test func aCopyIsWholeOrNothing() throws {
        var connection = try connect()
        try connection.execute("CREATE TABLE t (id int8 PRIMARY KEY)")
        struct GivenUp: Error {}
        var pieces = 0
        #expect(throws: GivenUp.self) {
            try connection.copy(into: "t (id)") { rows in
                for id in 0..<30_000 { rows.append(pieces * 30_000 + id) }
                pieces += 1
                if pieces == 3 { throw GivenUp() }
                return true
            }
        }
        let duplicate = #expect(throws: PostgresError.self) {
            try connection.copy(into: "t (id)") { rows in
                for id in [1, 2, 1] { rows.append(id) }
                return false
            }
        }
        #expect(duplicate?.state == .uniqueViolation)
        let noTable = #expect(throws: PostgresError.self) { try connection.copy(into: "u (id)") { _ in false } }
        #expect(noTable?.state == .noTable)
        #expect(try connection.copy(into: "t (id)") { _ in false } == 0)
        #expect(try connection.number("SELECT count(*) FROM t") == 0)
    }

    // MARK: - Servers that do not answer

    /// The server gives a statement up before the client does, so that nothing keeps locks for nobody.
    @Test func aSlowStatementIsGivenUpByTheServer() throws {
        var connection = try connect(.seconds(2))
        let error = #expect(throws: PostgresError.self) { try connection.row("SELECT pg_sleep($1)", 60.0) { _ in } }
        let isLost = connection.isLost
        #expect(error?.state == .cancelled && !isLost)
        #expect(try connection.number("SELECT 7::int8") == 7)
    }

    @Test func aServerThatHangsIsWaitedForNoLongerThanThePatience() throws {
        var connection = try connect(.seconds(2))
        kill(connection.backend, SIGSTOP)
        defer { kill(connection.backend, SIGCONT) }
        let error = #expect(throws: PostgresError.self) { try connection.number("SELECT 7::int8") }
        let isLost = connection.isLost
        #expect(error?.kind == .outcomeUnknown && isLost)
        let after = #expect(throws: PostgresError.self) { try connection.number("SELECT 7::int8") }
        #expect(after?.kind == .notConnected)
    }

    @Test func aLostConnectionLeavesTheOutcomeUnknown() throws {
        var connection = try connect()
        try sql("SELECT pg_terminate_backend(\(connection.backend))")
        let error = #expect(throws: PostgresError.self) { try connection.number("SELECT 7::int8") }
        let isLost = connection.isLost
        #expect(error?.kind == .outcomeUnknown && isLost)
        for kind in ["statement", "copy", "together", "transaction"] {
            var connection = try connect()
            let backend = connection.backend
            let ender = onThread {
                usleep(300_000)
                _ = try? server.get().sql("SELECT pg_terminate_backend(\(backend))")
            }
            let error = #expect(throws: PostgresError.self) {
                switch kind {
                case "statement": try connection.run("SELECT pg_sleep($1)", 10.0)
                case "together": try connection.run(together: [PostgresStatement("SELECT pg_sleep($1)", 10.0)])
                case "transaction": try connection.transaction { try $0.run("SELECT pg_sleep($1)", 10.0) }
                default:
                    try connection.execute("CREATE TABLE t (id int8)")
                    _ = try connection.copy(into: "t (id)") { rows in
                        for id in 0..<100_000 { rows.append(id) }
                        usleep(100_000)
                        return true
                    }
                }
            }
            let isLost = connection.isLost
            #expect(error?.kind == .outcomeUnknown && isLost, "\(kind): \(String(describing: error))")
            ender.wait()
        }
    }

    @Test(arguments: [
        "postgres://me:secret@%2Fno%2Fsuch%2Ffolder/d", "postgresql://me:secret@127.0.0.1:1/d?sslmode=disable",
        "postgres://me:secret@localhost:1,127.0.0.1:1/d", "postgres://me:secret@host/d?no_such_word=1",
    ])
    func whoCannotBeReachedIsNamedWithoutThePassword(uri: String) throws {
        let address = try #require(PostgresAddress(uri))
        let error = #expect(throws: PostgresError.self) {
            _ = try PostgresConnection.connect(to: address, for: "tests", patience: .seconds(5))
        }
        #expect(error?.kind == .notConnected)
        #expect(!"\(address) \(try #require(error))".contains("secret"))
    }

    @Test func onlyTheirOwnSchemesAreAddresses() {
        for text in ["postgres:/x", "/postgres://x", "http://x", "postgres", "postgresq://x", ""] {
            #expect(PostgresAddress(text) == nil, "\(text)")
        }
        #expect(PostgresAddress("PostgreSQL://a:b@c@host:5/d?password=x").map { "\($0)" } == "postgres://host:5/d")
    }

    // MARK: - Notifications

    @Test func notificationsAreHeard() throws {
        var listening = try connect()
        var saying = try connect()
        try listening.listen(to: "changes \"1\"")
        #expect(try listening.notifications(within: .milliseconds(20)).isEmpty)
        try saying.transaction { transaction in
            for text in ["a", "b", "é"] {
                try transaction.row("SELECT pg_notify($1, $2)", "changes \"1\"", text) { _ in }
            }
        }
        var heard: [String] = []
        while heard.count < 3 { heard += try listening.notifications(within: .seconds(10)).map(\.text) }
        #expect(heard == ["a", "b", "é"])
        try sql("SELECT pg_terminate_backend(\(listening.backend))")
        #expect(throws: PostgresError.self) { while true { _ = try listening.notifications(within: .seconds(10)) } }
        let isLost = listening.isLost
        #expect(isLost)
    }
}
