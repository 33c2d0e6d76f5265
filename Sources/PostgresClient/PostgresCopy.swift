// Many rows at once: COPY in its binary form. Source: PostgreSQL 15's documentation of COPY, "Binary Format".

import CPostgres

/// Rows on their way into a table.
package struct PostgresCopy: ~Copyable {
    private var bytes: [UInt8] = []
    private static let most = 1 << 18

    fileprivate init() {
        bytes += Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0]
        bytes.append(bigEndian: Int32(0))
        bytes.append(bigEndian: Int32(0))
    }

    /// Appends a row: a value for each column, of exactly its type.
    package mutating func append(_ values: any PostgresValue...) { append(all: values) }

    /// The same for an array of values.
    package mutating func append(all values: [any PostgresValue]) {
        bytes.append(bigEndian: Int16(values.count))
        for value in values { add(value) }
    }

    /// The same for values of one type.
    package mutating func append<Value: PostgresValue>(row values: some Collection<Value>) {
        bytes.append(bigEndian: Int16(values.count))
        for value in values { add(value) }
    }

    private mutating func add(_ value: some PostgresValue) {
        guard !value.isNull else { return bytes.append(bigEndian: Int32(-1)) }
        let start = bytes.count
        bytes.append(bigEndian: Int32(0))
        value.append(to: &bytes)
        let length = Int32(bytes.count - start - 4)
        withUnsafeBytes(of: length.bigEndian) { bytes.replaceSubrange(start..<start + 4, with: $0) }
    }

    fileprivate mutating func end() { bytes.append(bigEndian: Int16(-1)) }

    /// Whether enough is there to be sent.
    fileprivate var isFull: Bool { bytes.count >= Self.most }

    fileprivate mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }
}

extension PostgresConnection {
    /// Copies rows into a table: all of them, or none. Returns how many there were.
    ///
    /// - Parameters:
    ///   - table: the table with its columns, e.g. `jobs (batch_id, line)`.
    ///   - next: appends some rows; false: that was all.
    package mutating func copy(
        into table: String, _ next: (inout PostgresCopy) throws -> Bool
    ) throws -> Int {
        try copy(into: table) { connection, rows in
            while try next(&rows) { try connection.sendFull(&rows) }
        }
    }

    /// Copies rows of values into a table, whose source calls for each of them: all of them, or none. Returns how many there were.
    ///
    /// - Parameter source: calls its argument with each row.
    package mutating func copy<Row: Collection>(
        into table: String, rowsOf source: ((Row) throws(PostgresError) -> Void) throws -> Void
    ) throws -> Int where Row.Element: PostgresValue {
        try copy(into: table) { connection, rows in
            try source { (row: Row) throws(PostgresError) in
                rows.append(row: row)
                try connection.sendFull(&rows)
            }
        }
    }

    private mutating func copy(
        into table: String, by feed: (inout PostgresConnection, inout PostgresCopy) throws -> Void
    ) throws -> Int {
        try sendWaiting()
        try checkIsThere()
        let end = ContinuousClock.now + patience
        guard cpq_send(handle, "COPY \(table) FROM STDIN (FORMAT binary)") == 1 else { throw lose() }
        try flush(until: end)
        guard let answer = try nextResult(until: end) else { throw lose() }
        let isReady = Int(cpq_status(answer)) == CPQ_COPY_IN
        let refusal = isReady ? nil : error(of: answer)
        cpq_clear(answer)
        if let refusal {
            _ = try result(until: end)
            throw refusal
        }
        do {
            var rows = PostgresCopy()
            try feed(&self, &rows)
            rows.end()
            try send(rows.take())
        } catch {
            guard !isLost, cpq_put_copy_end(handle, "given up") == 1 else { throw error }
            // What the server says of it is less than what the caller knows, unless it refused a row before.
            do throws(PostgresError) { _ = try result(until: ContinuousClock.now + patience) } catch {
                if error.state != .cancelled { throw error }
            }
            throw error
        }
        guard cpq_put_copy_end(handle, nil) == 1 else { throw lose() }
        return try result(until: ContinuousClock.now + patience)
    }

    private mutating func sendFull(_ rows: inout PostgresCopy) throws(PostgresError) {
        if rows.isFull { try send(rows.take()) }
    }

    /// Each piece may take as long as a call.
    private mutating func send(_ bytes: [UInt8]) throws(PostgresError) {
        let end = ContinuousClock.now + patience
        while true {
            let state = bytes.withUnsafeBytes {
                cpq_put_copy_data(handle, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count))
            }
            guard state >= 0 else { throw lose() }
            try flush(until: end)
            if state == 1 { return }
        }
    }

    /// The end of a copy.
    private mutating func result(until end: ContinuousClock.Instant) throws(PostgresError) -> Int {
        try flush(until: end)
        var (count, failure): (Int, PostgresError?) = (0, nil)
        while let result = try nextResult(until: end) {
            defer { cpq_clear(result) }
            if Int(cpq_status(result)) == CPQ_COMMAND_OK {
                count = Int(String(cString: cpq_changed_rows(result))) ?? 0
            } else {
                failure = failure ?? error(of: result)
            }
        }
        guard cpq_is_connected(handle) else { throw lose(failure?.message) }
        if let failure { throw failure }
        return count
    }
}
