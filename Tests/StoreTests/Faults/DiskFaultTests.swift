// The N-th write, sync or open fails, for every N until nothing fails any more; and the power fails after the N-th.

import CFaultVFS
import GRDBSQLite
import TestSupport
import Testing

@testable import StoreContract

// One after the other: they leave the other tests their threads.
@Suite("Faults of the disk", .serialized)
struct DiskFaultTests {
    /// An operation that fails, and how.
    struct Fault: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let kinds: Int
        let code: Int32
    }

    static let faults = [
        Fault(testDescription: "full", kinds: FAULTVFS_WRITE, code: SQLITE_FULL),
        Fault(testDescription: "write", kinds: FAULTVFS_WRITE, code: SQLITE_IOERR | 3 << 8),
        Fault(testDescription: "sync", kinds: FAULTVFS_SYNC, code: SQLITE_IOERR | 4 << 8),
        Fault(testDescription: "truncate", kinds: FAULTVFS_TRUNCATE, code: SQLITE_IOERR | 6 << 8),
        Fault(testDescription: "open", kinds: FAULTVFS_OPEN, code: SQLITE_CANTOPEN),
        Fault(testDescription: "shared memory", kinds: FAULTVFS_SHARED_MEMORY, code: SQLITE_IOERR | 21 << 8),
        Fault(testDescription: "read", kinds: FAULTVFS_READ, code: SQLITE_IOERR | 1 << 8),
    ]

    /// The daemon gives up at an error that stays, and waits where one passes; both without losing anything.
    @Test(arguments: faults, [false, true])
    func theNthOperationFails(fault: Fault, persistently: Bool) throws {
        let disk = try FaultyDisk()
        var nth: Int64 = 0
        var failedRuns = 0
        var operations: Int64 = 0
        repeat {
            nth += 1
            let comment: Comment = "operation \(nth)"
            var errors = 0
            var scenario = Scenario(path: try disk.newDatabase()) { error in
                errors += 1
                // A full disk is waited for.
                guard error.isTemporary, !persistently else { throw error }
                #expect(error == .diskFull(path: disk.folder.file("jobs.db")), comment)
            }
            disk.fail(fault.kinds, at: nth, code: fault.code, persistently: persistently)
            do { try scenario.run() } catch is JobStoreError {}
            operations = disk.count
            disk.work()
            if errors > 0 { failedRuns += 1 }
            try scenario.recover(comment)
        } while operations >= nth
        #expect(nth > 3 && Int64(failedRuns) >= nth / 2, "\(failedRuns) failures in \(nth) runs")
    }

    /// What was acknowledged was synced; what was not synced is lost at random, sector by sector.
    @Test(arguments: [1, 2] as [UInt64])
    func thePowerFailsAfterTheNthOperation(seed: UInt64) throws {
        let disk = try FaultyDisk()
        var nth: Int64 = 0
        var lost: Int64 = 0
        var isCut = true
        while isCut {
            nth += 1
            var scenario = Scenario(path: try disk.newDatabase()) { throw $0 }
            disk.cutPower(after: nth)
            do { try scenario.run() } catch is JobStoreError {}
            isCut = disk.isOff
            lost += disk.loseUnsynced(seed: seed &* 1_000_003 &+ UInt64(nth))
            try scenario.recover("power cut after operation \(nth), seed \(seed)")
        }
        #expect(nth > 100 && lost > nth, "\(lost) sectors lost in \(nth) runs")
    }
}
