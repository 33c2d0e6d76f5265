// Finds the job that brings a device down, by halving the company that it ran in.

import Foundation
import JobStore

/// Which jobs were in the batch at a device fault of this life of the daemon, and how many they were together.
///
/// The first such fault is counted against each of them. They then run in groups of half the size, apart from other jobs; a
/// group that goes through is cleared by its success, one that fails is halved again, which is not counted. So an innocent
/// job is blamed once at most, and only a job that fails alone is blamed further, until it has failed for good. Jobs that
/// were blamed in an earlier life run alone at once. Several replicas divide a group between them, and its company is then what
/// the faulty one had in its batch.
///
/// A session's threads share it.
final class Suspicion: @unchecked Sendable {
    private let lock = NSLock()
    private var company: [JobID: Int] = [:]

    /// Takes note of a fault under `tickets`; returns those that it is counted against.
    func note(faultUnder tickets: [ClaimTicket]) -> (blamed: [ClaimTicket], others: [ClaimTicket]) {
        lock.withLock {
            let isAlone = tickets.count == 1
            let blamed = tickets.filter { isAlone || company[$0.job] == nil }
            let others = tickets.filter { !isAlone && company[$0.job] != nil }
            for ticket in tickets { company[ticket.job] = tickets.count }
            return (blamed, others)
        }
    }

    /// The order in which suspects run: large groups first, so that the suspicion spreads over all before it narrows. Where a
    /// device fails whatever it runs, no job is failed for it.
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

    private func groupSize(_ job: ClaimedJob) -> Int { max(1, (company[job.ticket.job] ?? 1) / 2) }
}
