// A folder in memory behind the fault-injecting VFS.

import CFaultVFS
import Foundation
import TestSupport
import Testing

/// A disk that fails on demand. Syncs cost nothing there, so that thousands of runs are possible.
final class FaultyDisk: @unchecked Sendable {
    let folder: TemporaryFolder
    private let disk: OpaquePointer

    init() throws {
        #expect(faultvfs_install() == 0)
        folder = try TemporaryFolder(in: "/dev/shm")
        disk = try #require(faultvfs_disk_create(folder.path + "/"))
    }

    /// A new database's path; the files of the last one are gone.
    func newDatabase() throws -> String {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            try FileManager.default.removeItem(atPath: folder.file(name))
        }
        return folder.file("jobs.db")
    }

    func fail(_ kinds: Int, at nth: Int64, code: Int32, persistently: Bool) {
        faultvfs_fail(disk, UInt32(kinds), nth, code, persistently ? 1 : 0)
    }

    func work() { faultvfs_fail(disk, 0, 0, 0, 0) }

    /// Operations since `fail`.
    var count: Int64 { faultvfs_count(disk) }

    func cutPower(after nth: Int64) { faultvfs_cut_power(disk, nth) }

    var isOff: Bool { faultvfs_is_off(disk) == 1 }

    func loseUnsynced(seed: UInt64) -> Int64 { faultvfs_lose_unsynced(disk, seed) }

    /// Runs `body` once, in the window of the WAL-reset bug.
    func onStaleCheckpoint(_ body: @escaping () -> Void) {
        let context = Unmanaged.passRetained(Box(body)).toOpaque()
        faultvfs_on_stale_checkpoint(disk, { Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body() }, context)
    }

    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
