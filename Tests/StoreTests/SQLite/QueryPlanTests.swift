// The plans of the queries that must not become slower with history.

import GRDB
import Runtime
import TestSupport
import Testing

@testable import SQLiteStore
@testable import StoreContract

@Suite struct QueryPlanTests {
    private func plan(_ sql: String) throws -> String {
        let folder = try TemporaryFolder()
        let store = try SQLiteJobStore(path: folder.file("jobs.db"), at: 0)
        // Unbound parameters are NULL, which is good enough for a plan.
        let bare = sql.replacing("?", with: "NULL")
        return try store.read { try $0.rows("EXPLAIN QUERY PLAN " + bare) { $0.text(3) }.joined(separator: "\n") }
    }

    @Test func claimingUsesThePartialIndexAlone() throws {
        let plan = try plan(Database.claimSQL)
        #expect(plan.contains("jobs_pending (batch_id=?)"), "\(plan)")
        #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan)")
    }

    /// A batch is cancelled or expires in chunks: each must not look at all that is left.
    @Test(arguments: [JobState.pending, .running])
    func unfinishedJobsAreTheBeginningOfAnIndex(state: JobState) throws {
        let plan = try plan(Database.unfinishedSQL(state))
        #expect(plan.contains("jobs_\(state.rawValue) (batch_id=?)"), "\(plan)")
        #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan)")
    }

    @Test(arguments: ["", "AND (model IS NULL OR model = ?)"])
    func theNextBatchIsTheFirstOfAnIndex(condition: String) throws {
        let plan = try plan(Database.claimableSQL(condition))
        #expect(plan.contains("SCAN batches USING INDEX batches_claimable"), "\(plan)")
        #expect(!plan.contains("jobs") && !plan.contains("TEMP B-TREE"), "\(plan)")
    }

    /// A million jobs are copied one by one, without being sorted.
    @Test(arguments: [CopiedRelation.jobs, .choices])
    func aCopyReadsAlongAnIndex(relation: CopiedRelation) throws {
        let plan = try plan(relation.sqliteSelect(relation.columns))
        #expect(plan.contains("jobs_1 (batch_id=?)") && !plan.contains("TEMP B-TREE"), "\(plan)")
        // Of the union of texts each part goes along the index.
        #expect(plan.ranges(of: "SCAN").count <= (relation == .choices ? 1 : 0), "\(plan)")
    }

    @Test func whatTimeChangesNextIsTheBeginningOfIndexes() throws {
        let plan = try plan(Database.nextChangeSQL)
        for index in ["jobs_delayed", "batches_deadline", "batches_urgent", "batches_postponed"] {
            #expect(plan.contains("USING INDEX \(index)"), "\(plan)")
        }
        // Each min() reads one entry.
        #expect(!plan.contains("SCAN jobs") && !plan.contains("SCAN batches"), "\(plan)")
    }

    /// It is asked at every group of results.
    @Test func aModelsTroubleIsForgottenWithoutLookingAtBatches() throws {
        let plan = try plan(Database.forgetModelTroubleSQL)
        #expect(plan.contains("USING INDEX batches_in_trouble (model=?)"), "\(plan)")
        #expect(!plan.contains("SCAN"), "\(plan)")
    }

    @Test(arguments: ResultOrder.allCases, [JobState.terminal, [.failed], [.failed, .cancelled], [.succeeded]])
    func pagesOfResultsAreReadFromAnIndexInOrder(order: ResultOrder, states: Set<JobState>) throws {
        let plan = try plan(
            Database.resultsSQL(ResultQuery(batch: BatchID(rawValue: 1), order: order, states: states)))
        #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan)")
        if order == .completion {
            #expect(plan.contains("jobs_finished"), "\(plan)")
        } else if states == [.failed] {
            #expect(plan.contains("jobs_failed"), "\(plan)")
        }
    }

    /// A look at a batch or a night costs as much whatever else there is.
    @Test func samplesAndHistoryAreReadFromIndexes() throws {
        let sample = try plan(Database.sampledJobSQL)
        #expect(sample.contains("jobs_finished (batch_id=? AND finish_seq=?)"), "\(sample)")
        let history = try plan(
            Database.metricsHistorySQL.replacing(#/\?[123]/#, with: "?"))
        #expect(history.contains("USING INDEX metrics_start"), "\(history)")
    }
}
