// Drafts in PostgreSQL: what becomes of one whose session has ended.

import Foundation
import PostgresStore
import Runtime
import StoreContract
import TestSupport
import Testing

@Suite("Drafts in PostgreSQL", .enabled(if: PostgresServer.programs != nil))
struct DraftTests {
    /// The server may have forgotten lines that it had taken, and nobody holds the lock on the draft.
    @Test func aDraftEndsWithItsSession() throws {
        let database = try PostgresDatabase()
        let store = try PostgresJobStore(
            database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
        let draft = try store.beginBatch(NewBatch(name: "lost"), at: 1)
        _ = try draft.append([.sample(1)])
        try database.execute(
            """
            SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'ttbatch enqueue'
            """)
        let error = #expect(throws: JobStoreError.self) { try draft.append([.sample(2)]) }
        guard case .unreachable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: JobStoreError.draftClosed(draft.id)) { try draft.append([.sample(2)]) }
        #expect(throws: JobStoreError.draftClosed(draft.id)) { try draft.commit(at: 2) }
        try draft.discard()
        #expect(try store.batches(before: nil, limit: 9, includingDrafts: true).isEmpty)
    }

    /// Many lines that are no requests, and many that were there before, are written together as well.
    @Test func rejectedAndDoubledLinesAreWrittenTogether() throws {
        let database = try PostgresDatabase()
        let store = try PostgresJobStore(
            database.address, stateDirectory: database.stateDirectory, patience: .seconds(60), at: 0)
        let draft = try store.beginBatch(NewBatch(name: "half"), at: 1)
        let error = JobError(code: "invalid", message: "no", status: 400)
        let rejected = (101...200).map {
            RejectedLine(line: Int64($0), customID: $0 % 2 == 0 ? "r\($0)" : nil, error: error)
        }
        #expect(try draft.append((1...100).map { .sample($0) }, rejected: rejected).isEmpty)
        let doubled = try draft.append((201...300).map { .sample($0, customID: "d\($0 / 2)") })
        #expect(doubled.map(\.line) == (201...300).filter { $0 % 2 == 1 && $0 > 201 }.map(Int64.init))
        #expect(doubled.allSatisfy { $0.firstLine == $0.line - 1 && $0.customID == "d\($0.line / 2)" })
        let batch = try draft.commit(at: 2)
        let counts = try store.batch(batch).counts
        #expect(counts.total == 251 && counts.rejected == 100 && counts.failed == 100)
        let results = try store.allResults(ResultQuery(batch: batch, order: .completion, states: [.failed]))
        #expect(results.map(\.finishSequence) == (1...100).map { $0 })
        #expect(results.map(\.line) == Array(101...200))
    }
}
