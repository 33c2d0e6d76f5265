// The invariants of all schedules: records what was reported to users, and compares.

import BatchDaemon
import MemoryStore
import Runtime
import Settings
import StoreContract

/// Remembers every acknowledged act, and checks the queue against it.
struct Oracle {
    private let client: MemoryJobStore
    var ledger = Ledger()
    private var batches: [BatchID: Acknowledged] = [:]
    private var unacknowledged: Set<BatchID> = []
    /// How ended jobs ended: they never change.
    private var ended: [JobID: JobResult] = [:]
    /// Attempts in paused batches at the moment of the pause.
    private var pausedBatches: [BatchID: Int] = [:]
    private var pausedQueue: Int?

    private struct Acknowledged {
        let prompts: [Int64: SimulatedPrompt]
        let deadline: Milliseconds?
        let name: String?
        /// The results that there were when a cancel was acknowledged.
        var resultsAtCancel: [JobResult]?
    }

    init(_ client: MemoryJobStore) { self.client = client }

    func named(_ name: String) -> BatchID? { batches.first { $0.value.name == name }?.key }

    // MARK: What was reported to users

    mutating func note(_ id: BatchID, _ new: NewBatch, _ prompts: [SimulatedPrompt]) {
        let lines = prompts.enumerated().map { (Int64($0.offset + 1), $0.element) }
        batches[id] = Acknowledged(
            prompts: Dictionary(uniqueKeysWithValues: lines), deadline: new.deadline, name: new.uniqueName)
    }

    mutating func noteUnacknowledged(_ id: BatchID) { unacknowledged.insert(id) }

    mutating func noteCancel(_ id: BatchID) throws {
        batches[id]!.resultsAtCancel = try jobs(id)
        guard try client.batch(id).status == .cancelled else { throw Violation("\(id) was cancelled and is not") }
    }

    mutating func noteRetry(of id: BatchID, as copy: BatchID) throws {
        let states: Set<JobState> = [.failed, .expired]
        let again = try jobs(id).filter { states.contains($0.state) }.map(\.line)
        let prompts = batches[id]!.prompts.filter { again.contains($0.key) }
        batches[copy] = Acknowledged(prompts: prompts, deadline: nil, name: nil)
    }

    mutating func notePause(_ batch: BatchID?) throws {
        if let batch { pausedBatches[batch] = try attempts(batch) } else { pausedQueue = try attempts() }
    }

    mutating func noteResume(_ batch: BatchID?) throws {
        try checkPauses()
        if let batch { pausedBatches[batch] = nil } else { pausedQueue = nil }
    }

    // MARK: What must hold at every moment

    mutating func audit() throws {
        try checkPauses()
        for id in batches.keys { try audit(id) }
    }

    private func checkPauses() throws {
        for (batch, before) in pausedBatches where try attempts(batch) != before {
            throw Violation("\(batch) is paused, and a job of it was claimed")
        }
        if let pausedQueue, try attempts() != pausedQueue {
            throw Violation("the queue is paused, and a job was claimed")
        }
    }

    private func attempts(_ batch: BatchID) throws -> Int { try jobs(batch).reduce(0) { $0 + $1.attempt } }

    private func attempts() throws -> Int { try batches.keys.reduce(0) { try $0 + attempts($1) } }

    private mutating func audit(_ id: BatchID) throws {
        let acknowledged = batches[id]!
        let jobs = try jobs(id)
        guard Set(jobs.map(\.line)) == Set(acknowledged.prompts.keys), jobs.count == acknowledged.prompts.count else {
            throw Violation("\(id) does not have its lines: \(jobs.map(\.line))")
        }
        if let before = acknowledged.resultsAtCancel, before != jobs {
            throw Violation("\(id) has changed after its cancel was acknowledged")
        }
        for job in jobs where job.state.isTerminal {
            if let before = ended[job.id] {
                guard before == job else { throw Violation("\(job.id) had ended, and has changed: \(before), \(job)") }
            } else {
                try checkEnd(of: job, acknowledged)
                ended[job.id] = job
            }
        }
        let order = jobs.compactMap(\.finishSequence).sorted()
        guard order == (0..<order.count).map({ Int64($0 + 1) }) else {
            throw Violation("\(id) has gaps in its order of completion: \(order)")
        }
    }

    private func checkEnd(of job: JobResult, _ batch: Acknowledged) throws {
        try ledger.check(job)
        let prompt = batch.prompts[job.line]!
        switch job.outcome {
        case .succeeded(let generation):
            guard generation.choices.count == prompt.prompts * prompt.choices,
                generation.choices.allSatisfy({ $0.tokenIDs == prompt.answer })
            else {
                throw Violation("\(job.id) has another's or half a result: \(generation), not \(prompt.answer)")
            }
            let isFit = prompt.tokens[0] != SimulatedPrompt.poison && prompt.tokens[0] != SimulatedPrompt.unanswerable
            guard isFit else { throw Violation("\(job.id) cannot succeed") }
        case .expired:
            guard let deadline = batch.deadline, let finished = job.finished, finished >= deadline else {
                throw Violation("\(job.id) has expired before its time")
            }
        case .failed, .cancelled: break
        case .unfinished: throw Violation("\(job.id) has ended without an outcome")
        }
    }

    /// A daemon that was started to drain the queue has ended by itself.
    func expectDrained() throws {
        let isPaused = try client.systemStatus().paused != nil
        for batch in try client.batches(before: nil, limit: 1000, includingDrafts: false) {
            guard !batch.status.isTerminal, batch.paused == nil, !isPaused else { continue }
            throw Violation("\(batch.id) is left behind by a drain")
        }
    }

    private func jobs(_ id: BatchID) throws -> [JobResult] {
        try client.results(ResultQuery(batch: id, states: Set(JobState.allCases)), after: 0, limit: 1000)
    }
}

// MARK: - What must hold at the end

extension Oracle {
    mutating func conclude(
        _ troubles: Troubles, _ settings: DaemonSettings, isClockSteady: Bool, _ reach: inout Reach
    ) throws {
        let isWell = !troubles.endLives && !troubles.loading && !troubles.store && isClockSteady
        if isWell, ledger.declaredDead > 0 {
            throw Violation("a life was declared dead that was well")
        }
        for id in unacknowledged where (try? client.batch(id))?.isDraft == false {
            throw Violation("\(id) was never acknowledged, and has run")
        }
        for id in batches.keys.sorted() {
            let summary = try client.batch(id)
            guard summary.status.isTerminal else { throw Violation("\(id) is still \(summary.status)") }
            let jobs = try jobs(id)
            for state in JobState.allCases where summary.counts[state] != jobs.count(where: { $0.state == state }) {
                throw Violation("\(id) does not have the jobs that it counts: \(summary.counts)")
            }
            for job in jobs {
                reach.count("jobs \(job.state)")
                guard job.state.isTerminal else { throw Violation("\(job.id) is still \(job.state)") }
                if case .failed(let error) = job.outcome {
                    try check(error, of: job, batches[id]!.prompts[job.line]!, troubles, settings, &reach)
                }
            }
        }
    }

    /// A job fails for what can be wrong with it in this schedule, and after as many attempts as it may have.
    private func check(
        _ error: JobError, of job: JobResult, _ prompt: SimulatedPrompt, _ troubles: Troubles,
        _ settings: DaemonSettings, _ reach: inout Reach
    ) throws {
        let mayBeBlamed: Bool
        switch error.code {
        case JobError.crashedDaemonRepeatedly:
            reach.count("crashed jobs failed")
            guard ledger.suspicions(of: job.id) >= settings.maxCrashes else {
                throw Violation("\(job.id) failed too soon: \(error)")
            }
            // With a limit of one there is no second attempt in which a suspect would be alone.
            let isIsolated =
                settings.maxCrashes > 1 && !troubles.endLives && !troubles.deviceFaults && !troubles.brokenDevice
            mayBeBlamed = !isIsolated || prompt.tokens[0] == SimulatedPrompt.poison
        case JobError.badOutput:
            reach.count("bad outputs failed")
            guard job.attempt >= settings.maxBadOutputs else { throw Violation("\(job.id) failed too soon: \(error)") }
            mayBeBlamed = troubles.badOutputs
        case JobError.modelUnavailable:
            reach.count("model unavailable")
            // A model that a host does not have is no reason.
            mayBeBlamed = troubles.models || troubles.loading
        default: mayBeBlamed = false
        }
        if !mayBeBlamed { throw Violation("\(job.id) failed without a reason: \(error)") }
    }
}

extension JobCounts {
    fileprivate subscript(state: JobState) -> Int64 {
        switch state {
        case .pending: pending
        case .running: running
        case .succeeded: succeeded
        case .failed: failed
        case .cancelled: cancelled
        case .expired: expired
        }
    }
}
