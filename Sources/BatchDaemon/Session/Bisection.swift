// Finds the job that brings a device down, by bisection of the device batch that it ran in.

import Foundation
import StoreContract

/// The suspects of this life of the daemon: jobs that were in the device batch at a device fault, and how many they were together.
///
/// The first such fault is counted against each of them. They then run in groups of half the size, apart from other jobs; a
/// group that goes through is cleared by its success, one that fails is halved again, which is not counted. So an innocent
/// job is blamed once at most, and only a job that fails alone is blamed further, until it has failed for good. Jobs that
/// were blamed in an earlier life run alone at once. Several replicas divide a group between them, and the next group is then
/// half of what the faulty one had in its batch.
///
/// A session's threads share it.
final class Bisection: @unchecked Sendable {
    private let lock = NSLock()
    /// Size of the device batch that each suspect was in at its last fault.
    private var batchSizes: [JobID: Int] = [:]

    /// Notes a fault under `jobs`; returns those that it is counted against.
    func note(faultUnder jobs: [JobID]) -> Set<JobID> {
        lock.withLock {
            let isAlone = jobs.count == 1
            let blamed = jobs.filter { isAlone || batchSizes[$0] == nil }
            for job in jobs { batchSizes[job] = jobs.count }
            return Set(blamed)
        }
    }

    /// The order in which suspects run: large groups first, so that all are suspected before the search narrows. Where a device
    /// fails whatever it runs, no job is failed for it.
    func sort(_ suspects: inout [ClaimedJob]) {
        lock.withLock {
            suspects.sort {
                (-groupSize($0), $0.crashes, $0.ticket.job) < (-groupSize($1), $1.crashes, $1.ticket.job)
            }
        }
    }

    /// Takes the jobs that run next from the beginning of `suspects`.
    func takeGroup(from suspects: inout [ClaimedJob]) -> [ClaimedJob] {
        lock.withLock {
            guard let first = suspects.first else { return [] }
            let size = groupSize(first)
            let group = suspects.prefix(size).prefix { groupSize($0) == size }
            suspects.removeFirst(group.count)
            return Array(group)
        }
    }

    private func groupSize(_ job: ClaimedJob) -> Int { max(1, (batchSizes[job.ticket.job] ?? 1) / 2) }
}
