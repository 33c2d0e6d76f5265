// Whose each job is: kept by what was done to the queue, so that a job that two lives have, or that ends twice, is noticed at once.

import MemoryStore
import Runtime
import StoreContract

/// What the queue's events say of jobs and lives.
struct Ledger {
    private var jobs: [JobID: Entry] = [:]
    private var gone: Set<Incarnation> = []
    /// Lives that were declared dead.
    private(set) var declaredDead = 0

    fileprivate struct Entry {
        var batch: BatchID?
        var attempt = 0
        var holder: Incarnation?
        var end: JobState?
        /// Lives that ended while they had it.
        var deaths = 0
        /// How often it can have been blamed for an end of a life or a fault of a device.
        var suspicions = 0
    }

    /// - Throws: `Violation`.
    mutating func take(_ event: QueueEvent, _ reach: inout Reach) throws {
        switch event {
        case .claimed(let ticket, let life):
            guard !gone.contains(life) else { throw Violation("\(life) was declared dead, and claims \(ticket)") }
            if jobs.values.contains(where: { $0.batch == ticket.batch && $0.holder != nil && $0.holder != life }) {
                reach.count("claims of batches that others work on")
            }
            try change(ticket.job) { entry throws(Violation) in
                entry.batch = ticket.batch
                guard entry.holder == nil else { throw Violation("\(life) claims \(ticket) of \(entry.holder!)") }
                guard entry.end == nil else { throw Violation("\(life) claims \(ticket), which has ended") }
                guard ticket.attempt == entry.attempt + 1 else { throw Violation("\(ticket) is not the next attempt") }
                entry.attempt = ticket.attempt
                entry.holder = life
            }
        case .ended(let ticket, let state, let life):
            let isGone = life.map { gone.contains($0) } ?? false
            try change(ticket.job) { entry throws(Violation) in
                guard entry.end == nil else { throw Violation("\(ticket) ends again, \(state)") }
                if let life {
                    try Self.check(entry, ticket, of: life)
                    // Nobody had come to take it away.
                    if isGone { reach.count("results of dead lives taken") }
                }
                entry.holder = nil
                entry.end = state
            }
        case .released(let ticket, let life, let cause, let fails):
            try change(ticket.job) { entry throws(Violation) in
                try Self.check(entry, ticket, of: life)
                entry.holder = nil
                entry.note(cause)
                if fails { entry.end = .failed }
            }
            reach.count("jobs released for \(cause)")
        case .refused(_, let life):
            reach.count(gone.contains(life) ? "results of dead lives refused" : "results refused")
        case .declaredDead(let life):
            reach.count("lives declared dead")
            declaredDead += 1
            gone.insert(life)
        case .superseded(let life): gone.insert(life)
        }
    }

    private mutating func change(_ job: JobID, _ body: (inout Entry) throws(Violation) -> Void) throws {
        try body(&jobs[job, default: Entry()])
    }

    private static func check(_ entry: Entry, _ ticket: ClaimTicket, of life: Incarnation) throws(Violation) {
        guard entry.holder == life, entry.attempt == ticket.attempt else {
            throw Violation(
                "\(life) has \(ticket) no more: attempt \(entry.attempt) is of \(entry.holder.map { "\($0)" } ?? "nobody")"
            )
        }
    }

    /// What is stored of a job that has ended must be what its last attempt said.
    func check(_ job: JobResult) throws {
        let entry = jobs[job.id] ?? Entry()
        guard entry.end == job.state, entry.attempt == job.attempt else {
            throw Violation("\(job.id) is \(job.state) at attempt \(job.attempt): not as its last attempt ended")
        }
    }

    /// Whether a life has jobs.
    func holds(_ life: Incarnation) -> Bool { jobs.values.contains { $0.holder == life } }

    /// How often a job was in flight when a life ended or a device failed, as far as that counts against it.
    func suspicions(of job: JobID) -> Int { jobs[job]?.suspicions ?? 0 }
}

extension Ledger.Entry {
    fileprivate mutating func note(_ cause: QueueEvent.Cause) {
        switch cause {
        case .ownWish, .badOutput: break
        case .deviceFault: suspicions += 1
        case .restart:
            deaths += 1
            suspicions += 1
        case .declaredDead:
            // The first one is nobody's fault.
            if deaths > 0 { suspicions += 1 }
            deaths += 1
        }
    }
}
