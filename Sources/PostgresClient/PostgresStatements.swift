// Statements with values, one at a time.

import CPostgres

/// A statement with the values for its `$1` ….
package struct PostgresStatement {
    let text: String
    let values: [any PostgresValue]

    /// Makes a statement. The same text is prepared once for a connection.
    package init(_ text: String, _ values: any PostgresValue...) {
        (self.text, self.values) = (text, values)
    }

    /// The same for an array of values.
    package init(_ text: String, all values: [any PostgresValue]) { (self.text, self.values) = (text, values) }
}

/// A prepared statement with its values.
struct BoundStatement {
    let name: String
    let values: EncodedValues
}

/// What the server has prepared: a text with values of some types.
struct PreparedKey: Hashable {
    let text: String
    let types: [UInt32]
}

extension PostgresConnection {
    /// Runs statements without values and without results, several in one text too.
    package mutating func execute(_ text: String) throws(PostgresError) {
        try sendWaiting()
        try checkIsThere()
        let end = ContinuousClock.now + patience
        guard cpq_send(handle, text) == 1 else { throw lose() }
        _ = try drain(until: end) { _ in }
    }

    /// Runs a statement; returns the number of rows that it changed.
    @discardableResult
    package mutating func run(_ text: String, _ values: any PostgresValue...) throws(PostgresError) -> Int {
        try run(text, all: values)
    }

    /// The same for an array of values.
    @discardableResult
    package mutating func run(_ text: String, all values: [any PostgresValue]) throws(PostgresError) -> Int {
        try query(text, values) { _ in }
    }

    /// All rows of a query.
    package mutating func rows<Row>(
        _ text: String, _ values: any PostgresValue..., read: (PostgresRow) -> Row
    ) throws(PostgresError) -> [Row] {
        try rows(text, all: values, read: read)
    }

    /// The same for an array of values.
    package mutating func rows<Row>(
        _ text: String, all values: [any PostgresValue], read: (PostgresRow) -> Row
    ) throws(PostgresError) -> [Row] {
        var rows: [Row] = []
        try query(text, values) { rows.append(read($0)) }
        return rows
    }

    /// The first row of a query; nil if there is none.
    package mutating func row<Row>(
        _ text: String, _ values: any PostgresValue..., read: (PostgresRow) -> Row
    ) throws(PostgresError) -> Row? {
        var row: Row?
        try query(text, values) { if row == nil { row = read($0) } }
        return row
    }

    /// The first column of a query's row, an `int8`; 0 if it has none.
    package mutating func number(_ text: String, _ values: any PostgresValue...) throws(PostgresError) -> Int64 {
        var number: Int64 = 0
        try query(text, values) { number = $0.optionalInt64(0) ?? 0 }
        return number
    }

    /// Calls `visit` with every row while the others are still coming, so that any number takes no memory.
    package mutating func forEachRow(
        _ text: String, _ values: any PostgresValue..., visit: (PostgresRow) -> Void
    ) throws(PostgresError) {
        try query(text, values, rowByRow: true, visit: visit)
    }

    @discardableResult
    private mutating func query(
        _ text: String, _ values: [any PostgresValue], rowByRow: Bool = false, visit: (PostgresRow) -> Void
    ) throws(PostgresError) -> Int {
        try checkIsThere()
        let encoded = EncodedValues(values)
        let key = PreparedKey(text: text, types: encoded.types)
        let wasPrepared = prepared[key] != nil
        do throws(PostgresError) {
            return try query(text, encoded, rowByRow, visit)
        } catch
            where wasPrepared && [.changedColumns, .noSuchStatement].contains(error.state)
            && !cpq_is_in_transaction(handle)
        {
            // Somebody has changed the schema meanwhile. No row of such a statement was visited.
            prepared[key] = nil
            return try query(text, encoded, rowByRow, visit)
        }
    }

    private mutating func query(
        _ text: String, _ values: EncodedValues, _ rowByRow: Bool, _ visit: (PostgresRow) -> Void
    ) throws(PostgresError) -> Int {
        if rowByRow { try sendWaiting() }
        let end = ContinuousClock.now + patience
        let statement = BoundStatement(name: try prepare(text, values.types, until: end), values: values)
        guard waiting.isEmpty else {
            let before = takeWaiting()
            let changed = try send(before + [statement], until: end) { if $0 == before.count { visit($1) } }
            return changed.last!
        }
        try send(statement)
        if rowByRow { _ = cpq_set_single_row_mode(handle) }
        return try drain(until: end, rowByRow ? patience : nil, visit)
    }

    /// Sends a statement without waiting for anything.
    mutating func send(_ statement: BoundStatement) throws(PostgresError) {
        let name = statement.name
        guard statement.values.withPointers({ cpq_send_prepared(handle, name, $0, $1, $2) }) == 1 else { throw lose() }
    }

    /// The name of a statement that the server knows.
    mutating func prepare(
        _ text: String, _ types: [UInt32], until end: ContinuousClock.Instant
    ) throws(PostgresError) -> String {
        let key = PreparedKey(text: text, types: types)
        if let name = prepared[key] { return name }
        preparedCount += 1
        let name = "s\(preparedCount)"
        guard cpq_send_prepare(handle, name, text, Int32(types.count), types) == 1 else { throw lose() }
        _ = try drain(until: end) { _ in }
        prepared[key] = name
        return name
    }

    /// Takes all results of what was sent; returns how many rows the last command changed.
    ///
    /// - Parameter perResult: how long each result may take; nil: all of them by `end`.
    private mutating func drain(
        until end: ContinuousClock.Instant, _ perResult: Duration? = nil, _ visit: (PostgresRow) -> Void
    ) throws(PostgresError) -> Int {
        var end = end
        try flush(until: end)
        var changed = 0
        var failure: PostgresError?
        // To the end, also after an error: the connection takes nothing else before.
        while let result = try nextResult(until: end) {
            defer { cpq_clear(result) }
            if let perResult { end = ContinuousClock.now + perResult }
            switch Int(cpq_status(result)) {
            case CPQ_TUPLES_OK, CPQ_SINGLE_TUPLE:
                for row in 0..<cpq_row_count(result) { visit(PostgresRow(result: result, row: row)) }
                changed = Self.changedRows(result)
            case CPQ_COMMAND_OK: changed = Self.changedRows(result)
            case CPQ_EMPTY_QUERY: break
            case CPQ_COPY_IN, CPQ_COPY_OUT: return changed
            default: failure = failure ?? error(of: result)
            }
        }
        guard cpq_is_connected(handle) else { throw lose(failure?.message) }
        if let failure { throw failure }
        return changed
    }

    static func changedRows(_ result: OpaquePointer) -> Int {
        Int(String(cString: cpq_changed_rows(result))) ?? 0
    }

    func error(of result: OpaquePointer) -> PostgresError {
        func field(_ code: Int) -> String? { cpq_error_field(result, Int32(code)).map { String(cString: $0) } }
        guard let state = field(CPQ_SQLSTATE) else {
            return PostgresError(.outcomeUnknown, String(cString: cpq_error_message(handle)), server: server)
        }
        let message = (field(CPQ_MESSAGE) ?? "") + (field(CPQ_DETAIL).map { "; " + $0 } ?? "")
        return PostgresError(
            .server(SQLState(rawValue: state)), message, constraint: field(CPQ_CONSTRAINT), server: server)
    }
}
