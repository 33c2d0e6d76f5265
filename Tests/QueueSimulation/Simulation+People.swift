// What people do to the queue.

import MemoryStore
import Runtime
import Settings
import StoreContract

extension Simulation {
    func enqueue() throws {
        var new = NewBatch(name: "file", model: [nil, "a", "b"].randomElement(using: &random)!)
        if random.oneIn(3) { new.priority = BatchPriority(rawValue: Int64.random(in: -2...2, using: &random))! }
        if random.oneIn(3) { new.deadline = time.wall + Int64.random(in: 1...4000, using: &random) }
        if random.oneIn(4) { new.uniqueName = "name \(Int.random(in: 0..<3, using: &random))" }
        let prompts = (0..<Int.random(in: 1...8, using: &random)).map { _ in drawPrompt() }
        let draft = try client.beginBatch(new, at: time.wall)
        _ = try draft.append(
            prompts.enumerated().map { index, prompt in
                NewJob(
                    line: Int64(index + 1), customID: "c\(index)", endpoint: "/v1/completions", body: prompt.body,
                    claimRank: Int64(index % 3))
            })
        if random.oneIn(12) {
            // Its writer dies here: the object goes, and the draft stays.
            tell("an enqueue dies half-way, \(draft.id)")
            reach.count("orphaned drafts")
            return oracle.noteUnacknowledged(draft.id)
        }
        do throws(JobStoreError) {
            let id = try mayBeUnheard { () throws(JobStoreError) in try draft.commit(at: time.wall) }
            tell(
                "\(prompts.count) prompts are \(id), priority \(new.priority.rawValue)"
                    + (new.deadline.map { ", until \($0.rawValue)" } ?? ""))
            oracle.note(id, new, prompts)
        } catch {
            switch error {
            case .nameTaken(let name, let other):
                tell("\(name) is \(other) already")
                reach.count("names taken")
                try draft.discard()
                oracle.noteUnacknowledged(draft.id)
                guard oracle.named(name) == other else { throw Violation("\(name) is said to be \(other)") }
            case .unreachable:
                // Either; and whichever it is holds from now on.
                let isDone = try client.batch(draft.id).status != .validating
                tell("it is not known whether \(draft.id) was enqueued; \(isDone ? "it was" : "it was not")")
                reach.count("enqueues unheard of")
                if isDone { oracle.note(draft.id, new, prompts) } else { oracle.noteUnacknowledged(draft.id) }
            default: throw error
            }
        }
    }

    /// Does something whose answer may be lost, with the effect or without.
    private func mayBeUnheard<Value>(_ act: () throws(JobStoreError) -> Value) throws(JobStoreError) -> Value {
        if troubles.unreachable, random.oneIn(6) { peoplesConnection.failOnce(after: 0, hasEffect: random.oneIn(2)) }
        defer { peoplesConnection.mend() }
        return try act()
    }

    private func drawPrompt() -> SimulatedPrompt {
        var first = Int32.random(in: 1..<38, using: &random)
        if troubles.poison, random.oneIn(12) { first = SimulatedPrompt.poison }
        if troubles.badOutputs, random.oneIn(12) { first = SimulatedPrompt.unanswerable }
        let rest = (0..<Int.random(in: 0...9, using: &random)).map { _ in Int32.random(in: 1..<4, using: &random) }
        return SimulatedPrompt(tokens: [first] + rest, maxTokens: Int.random(in: 1...6, using: &random))
    }

    func pauseOrResume() throws {
        reach.count("pauses")
        if random.oneIn(4) {
            if try client.systemStatus().paused == nil {
                tell("the queue is paused")
                try client.pause(nil, at: time.wall)
                try oracle.notePause(nil)
            } else {
                tell("the queue is resumed")
                try oracle.noteResume(nil)
                try client.resume(nil)
            }
            return
        }
        guard let batch = try openBatches().randomElement(using: &random) else { return }
        if batch.paused == nil {
            tell("\(batch.id) is paused")
            try client.pause(batch.id, at: time.wall)
            try oracle.notePause(batch.id)
        } else {
            tell("\(batch.id) is resumed")
            try oracle.noteResume(batch.id)
            try client.resume(batch.id)
        }
    }

    func resumeAll() throws {
        try oracle.noteResume(nil)
        try client.resume(nil)
        for batch in try openBatches() where batch.paused != nil {
            try oracle.noteResume(batch.id)
            try client.resume(batch.id)
        }
    }

    func cancel() throws {
        guard let batch = try openBatches().randomElement(using: &random) else { return }
        do throws(JobStoreError) {
            _ = try mayBeUnheard { () throws(JobStoreError) in try client.cancel(batch.id, at: time.wall) }
        } catch {
            guard case .unreachable = error else { throw error }
            reach.count("cancels unheard of")
            guard try client.batch(batch.id).status.isTerminal else { return tell("a cancel of \(batch.id) is lost") }
        }
        tell("\(batch.id) is cancelled")
        try oracle.noteCancel(batch.id)
    }

    func retry() throws {
        let ended = try client.batches(before: nil, limit: 100, includingDrafts: false).filter(\.status.isTerminal)
        guard let batch = ended.randomElement(using: &random) else { return }
        let copy: BatchID
        do throws(JobStoreError) {
            copy = try client.retry(batch.id, at: time.wall)
        } catch {
            // All of it succeeded or was cancelled.
            guard case .nothingToRetry = error else { throw error }
            return
        }
        tell("\(batch.id) is run again as \(copy)")
        reach.count("retries")
        try oracle.noteRetry(of: batch.id, as: copy)
    }

    private func openBatches() throws -> [BatchSummary] {
        try client.batches(before: nil, limit: 100, includingDrafts: false).filter { !$0.status.isTerminal }
    }

    // MARK: Hosts

    func stopOrKill() throws {
        let running = machines.filter { $0.daemon != nil }
        guard let machine = running.randomElement(using: &random), let daemon = machine.daemon else { return }
        if troubles.kills, random.oneIn(2) { return kill(machine) }
        reach.count("daemons stopped")
        let level: StopSignal.Level = random.oneIn(2) ? .graceful : .immediate
        tell("\(machine.name): the daemon is asked to stop, \(level)")
        daemon.stop.request(level)
        if daemon.course?.session == nil { daemon.course?.waitsUntil = 0 }
    }

    /// A host is drained, takes jobs again, or is removed, whatever it does.
    func changeHosts() throws {
        guard let host = try client.hosts().randomElement(using: &random) else { return }
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            tell("\(host.life.daemon.host) is removed")
            reach.count("hosts removed")
            _ = try client.remove(host.life.id, maxCrashes: settings.maxCrashes, at: time.wall)
        case 1...2:
            tell("\(host.life.daemon.host) is drained")
            reach.count("hosts drained")
            try client.setDraining(true, of: host.life.id)
        default:
            tell("\(host.life.daemon.host) takes jobs again")
            try client.setDraining(false, of: host.life.id)
        }
    }

    func resumeHosts() throws {
        for host in try client.hosts() { try client.setDraining(false, of: host.life.id) }
    }
}
