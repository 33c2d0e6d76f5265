// How the values of the contract are written and read.

import PostgresClient
import Runtime
import Sampling
import StoreContract

extension BatchID: PostgresValue {}
extension Incarnation: PostgresValue {}
extension Milliseconds: PostgresValue {}
extension BatchPriority: PostgresValue {}
extension JobState: PostgresValue {}
extension BatchStatus: PostgresValue {}
extension FileID: PostgresValue {}

extension String {
    /// What people write, as `bytea`.
    var stored: [UInt8] { Array(utf8) }
}

extension JobID {
    /// The job at a line of a batch: nothing has to be looked up.
    init(_ batch: BatchID, line: Int64) { self.init(rawValue: batch.rawValue << 32 | line) }

    var line: Int64 { rawValue & 0xFFFF_FFFF }
    var batch: BatchID { BatchID(rawValue: rawValue >> 32) }
}

extension PostgresRow: StoredRow {
    /// A column with a CHECK constraint.
    func state(_ column: Int32) -> JobState { JobState(rawValue: text(column)) ?? .failed }

    /// A column with a CHECK constraint.
    func status(_ column: Int32) -> BatchStatus { BatchStatus(rawValue: text(column)) ?? .failed }
}
