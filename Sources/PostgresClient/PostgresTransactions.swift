// Transactions, and many statements in one round trip: what nobody waits for is sent with the next statement that is waited for.

import CPostgres

extension PostgresConnection {
    /// Runs `body` in a transaction: all of it is there after that, or nothing. `body` may be called again, where another
    /// transaction was in its way.
    @discardableResult
    package mutating func transaction<Result>(
        _ body: (inout PostgresConnection) throws -> Result
    ) throws -> Result {
        for attempt in 1... {
            do {
                try runLater("BEGIN")
                let result = try body(&self)
                try commit()
                return result
            } catch {
                waiting = []
                // If that fails too, the connection is lost, and the transaction with it.
                if !isLost, cpq_is_in_transaction(handle) { try? execute("ROLLBACK") }
                guard attempt < 5, let state = (error as? PostgresError)?.state, state.isRepeatable else { throw error }
            }
        }
        preconditionFailure("a loop without an end")
    }

    /// A warning says that the server did not wait for its standby, as it was to: a failover may undo the commit.
    private mutating func commit() throws(PostgresError) {
        // COMMIT would answer "ROLLBACK", and that is no error.
        guard !cpq_has_failed_transaction(handle) else {
            throw PostgresError(
                .server(.failedTransaction), "a statement of the transaction has failed", server: server)
        }
        _ = takeWarnings()
        // If one of the statements that wait fails, the server passes over those behind it, and this is the last of them.
        try run("COMMIT")
        guard let warning = takeWarnings().first else { return }
        throw PostgresError(.outcomeUnknown, warning, server: server)
    }

    /// Runs a statement of a transaction whose answer is not needed: it is sent with the next one, before that, in the same round
    /// trip. If it fails, that one throws its error, and is not run.
    package mutating func runLater(_ text: String, _ values: any PostgresValue...) throws(PostgresError) {
        try runLater(text, all: values)
    }

    /// The same for an array of values.
    package mutating func runLater(_ text: String, all values: [any PostgresValue]) throws(PostgresError) {
        try checkIsThere()
        waiting.append(try bind(PostgresStatement(text, all: values), until: ContinuousClock.now + patience))
    }

    /// Runs statements in one round trip and one transaction: all of them, or none. Returns how many rows each has changed.
    ///
    /// Each sees what was committed when it begins, after the waits of those before it.
    /// - Parameter visit: gets rows, and which statement's they are.
    @discardableResult
    package mutating func run(
        together statements: [PostgresStatement], visit: (Int, PostgresRow) -> Void = { _, _ in }
    ) throws(PostgresError) -> [Int] {
        try checkIsThere()
        let end = ContinuousClock.now + patience
        var bound: [BoundStatement] = []
        for statement in statements { bound.append(try bind(statement, until: end)) }
        let before = takeWaiting()
        let changed = try send(before + bound, until: end) { index, row in
            if index >= before.count { visit(index - before.count, row) }
        }
        return Array(changed.dropFirst(before.count))
    }

    private mutating func bind(
        _ statement: PostgresStatement, until end: ContinuousClock.Instant
    ) throws(PostgresError) -> BoundStatement {
        let values = EncodedValues(statement.values)
        return BoundStatement(name: try prepare(statement.text, values.types, until: end), values: values)
    }

    // MARK: - The pipeline

    /// Sends what waits, before something that cannot be in one round trip with it.
    mutating func sendWaiting() throws(PostgresError) {
        guard !waiting.isEmpty else { return }
        try checkIsThere()
        _ = try send(takeWaiting(), until: ContinuousClock.now + patience) { _, _ in }
    }

    mutating func takeWaiting() -> [BoundStatement] {
        defer { waiting = [] }
        return waiting
    }

    /// Sends statements in one round trip; returns how many rows each has changed.
    mutating func send(
        _ statements: [BoundStatement], until end: ContinuousClock.Instant, _ visit: (Int, PostgresRow) -> Void
    ) throws(PostgresError) -> [Int] {
        guard cpq_enter_pipeline(handle) == 1 else { throw lose() }
        for statement in statements { try send(statement) }
        guard cpq_pipeline_sync(handle) == 1 else { throw lose() }
        try flush(until: end)
        var changed: [Int] = []
        var failure: PostgresError?
        var isSynced = false
        while !isSynced {
            // A nil result is between two statements.
            guard let result = try nextResult(until: end) else {
                guard cpq_is_connected(handle) else { throw lose(failure?.message) }
                continue
            }
            defer { cpq_clear(result) }
            switch Int(cpq_status(result)) {
            case CPQ_PIPELINE_SYNC: isSynced = true
            case CPQ_COMMAND_OK, CPQ_TUPLES_OK:
                for row in 0..<cpq_row_count(result) { visit(changed.count, PostgresRow(result: result, row: row)) }
                changed.append(Self.changedRows(result))
            case CPQ_PIPELINE_ABORTED: break
            default: failure = failure ?? error(of: result)
            }
        }
        guard cpq_is_connected(handle), cpq_exit_pipeline(handle) == 1 else { throw lose(failure?.message) }
        if let failure { throw failure }
        return changed
    }
}
