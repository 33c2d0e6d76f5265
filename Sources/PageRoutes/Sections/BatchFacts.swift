// What is shown of every batch, in the list and alone: its name, its progress, its speed and its deadline.

import ResultExport
import Runtime
import StoreContract

struct BatchFacts: Sendable, Hashable {
    let id: String
    let name: String
    /// `running`, `completed` …
    let status: String
    /// `run`, `wait`, `ok`, `bad` or `gone`: how it is coloured.
    let kind: String
    let bar: JobBar
    let done: String
    /// `50 %`.
    let share: String
    /// `3 failed`; nil without failures.
    let failed: String?
    let speed: String?
    let eta: String?
    let deadline: ShownTime?
    /// `2h 10m to spare`, `40m 00s late`; nil without a deadline or an estimate.
    let slack: String?
    let isLate: Bool
    let created: ShownTime
    let priority: String?
    let isOpen: Bool
    let isPaused: Bool
    /// Whether it has actions for whoever looks.
    let mayAct: Bool
    let token: String

    init(_ description: BatchDescription, view: PageView, token: String, now: Milliseconds) {
        let batch = description.batch
        let counts = batch.counts
        id = batch.id.description
        name = PageWords.name(batch.uniqueName ?? batch.name)
        isOpen = batch.status == .inProgress
        isPaused = isOpen && batch.paused != nil
        (status, kind) = Self.status(batch, running: description.running)
        bar = JobBar(counts, running: description.running)
        done = "\(PageWords.count(counts.finished)) of \(PageWords.count(counts.total))"
        // It is not 100 % before the end.
        let hundredths = counts.total > 0 ? counts.finished * 100 / counts.total : 0
        share = "\(hundredths) %"
        failed = counts.failed > 0 ? "\(PageWords.count(counts.failed)) failed" : nil
        speed = description.tokensPerSecond.map { PageWords.rate($0) }
        let rest = batch.paused == nil ? description.etaMS : nil
        eta = rest.map(PageWords.countdown)
        deadline = batch.deadline.map { ShownTime($0, now: now) }
        // A batch that has ended kept its deadline, or its jobs expired, which its status tells.
        let isUndecided = batch.status == .inProgress
        let spare = batch.deadline.flatMap { deadline in isUndecided ? deadline - (now + (rest ?? 0)) : nil }
        isLate = spare.map { $0 < 0 } ?? false
        slack = spare.flatMap { spare in
            if spare < 0 { return "\(PageWords.countdown(-spare)) late" }
            return rest == nil ? "in \(PageWords.countdown(spare))" : "\(PageWords.countdown(spare)) to spare"
        }
        created = ShownTime(batch.created, now: now)
        priority = batch.priority == .normal ? nil : "\(batch.priority.rawValue)"
        mayAct = view.mayAct && isOpen
        self.token = token
    }

    private static func status(_ batch: BatchSummary, running: Int64) -> (String, String) {
        switch batch.status {
        case .inProgress where batch.paused != nil: ("paused", "wait")
        case .inProgress where batch.modelTrouble != nil: ("model unusable", "bad")
        case .inProgress where running > 0 || batch.counts.running > 0: ("running", "run")
        case .inProgress: ("waiting", "wait")
        // That some have failed is told beside the bar.
        case .completed where batch.counts.succeeded == 0: ("completed", "bad")
        case .completed: ("completed", "ok")
        case .failed: ("failed", "bad")
        case .expired: ("expired", "bad")
        case .cancelled, .cancelling, .validating: (batch.status.rawValue, "gone")
        }
    }
}
