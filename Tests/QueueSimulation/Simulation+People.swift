// What people do to the queue.

import MemoryStore
import Runtime
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
            let id = try draft.commit(at: time.wall)
            tell(
                "\(prompts.count) prompts are \(id), priority \(new.priority.rawValue)"
                    + (new.deadline.map { ", until \($0.rawValue)" } ?? ""))
            oracle.note(id, new, prompts)
        } catch {
            guard case .nameTaken(let name, let other) = error else { throw error }
            tell("\(name) is \(other) already")
            reach.count("names taken")
            try draft.discard()
            oracle.noteUnacknowledged(draft.id)
            guard oracle.named(name) == other else { throw Violation("\(name) is said to be \(other)") }
        }
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
        tell("\(batch.id) is cancelled")
        _ = try client.cancel(batch.id, at: time.wall)
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
}
