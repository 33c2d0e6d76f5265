// Finds the job that makes a device fail, by bisection of the device batch that it ran in.

import Foundation
import StoreContract

/// The suspects of this incarnation: jobs that were in the device batch at a device fault, with the size of that batch.
///
/// The first such fault is counted against each suspect. Suspects then run in groups of half the size, apart from other
/// jobs. A group that succeeds is cleared; one that fails is halved again, without being counted. So an innocent job is
/// blamed at most once, and only a job that fails alone is blamed again, until it has failed permanently. Jobs that
/// were blamed in an earlier incarnation run alone at once. Several replicas divide a group between them; the size of
/// the next group is then half of the faulty replica's batch.
///
/// The object is shared by the threads of a session.
final class Bisection: @unchecked Sendable {
    private let lock = NSLock()
    /// Size of the device batch that each suspect was in at its last fault.
    private var batchSizes: [JobID: Int] = [:]

    /// Records a fault with `jobs` in the batch; returns the jobs that it is counted against.
    func note(faultUnder jobs: [JobID]) -> Set<JobID> {
        lock.withLock {
            let isAlone = jobs.count == 1
            let blamed = jobs.filter { isAlone || batchSizes[$0] == nil }
            for job in jobs { batchSizes[job] = jobs.count }
            return Set(blamed)
        }
    }

    /// Sorts the suspects in the order in which they run: large groups first, so that all jobs are suspected before the
    /// groups become small. If a device fails with any job, no job fails permanently for it.
    func sort(_ suspects: inout [ClaimedJob]) {
        lock.withLock {
            suspects.sort {
                (-groupSize($0), $0.crashes, $0.ticket.job) < (-groupSize($1), $1.crashes, $1.ticket.job)
            }
        }
    }

    /// Removes the jobs of the next group from the beginning of `suspects`.
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
