// Follows batches until they have ended, and reports events meanwhile.

import Foundation
import ResultExport
package import Runtime
package import StoreContract
import Terminal

/// Makes sure that a daemon works on batches.
package protocol BatchWorker: AnyObject {
    /// Starts a daemon here, unless one runs already, here or elsewhere.
    func ensureWork() throws(JobStoreError) -> WorkPlace
    /// Whether a daemon runs here at this moment.
    var isRunningHere: Bool { get }
    /// Whether the daemon here has ended, for any reason.
    var hasEnded: Bool { get }
}

/// The process that does the work.
package enum WorkPlace {
    case here
    case anotherProcess(pid: Int32?)
}

/// Follows batches on stderr.
package struct Following {
    package let store: any JobReading
    package let batches: [BatchID]
    /// Makes sure that a daemon works on them; nil: they are only watched.
    package let work: (any BatchWorker)?
    package let stop: StopSignal
    /// Whether settings were given that apply only to a daemon here.
    package let hasOwnSettings: Bool
    /// Milliseconds that running prompts may continue after a request to stop.
    package let graceMS: Int64

    package init(
        store: any JobReading, batches: [BatchID], work: (any BatchWorker)?, stop: StopSignal,
        hasOwnSettings: Bool = false, graceMS: Int64
    ) {
        self.store = store
        self.batches = batches
        self.work = work
        self.stop = stop
        self.hasOwnSettings = hasOwnSettings
        self.graceMS = graceMS
    }

    /// Returns true when every batch has ended, and false when no daemon works on them here any more: the user stopped
    /// it, or it ended. If a daemon of another process ends, one is started here.
    ///
    /// - Parameter meanwhile: called repeatedly. It must clear the display before it writes to a terminal.
    package func untilDone(_ meanwhile: (inout ProgressDisplay) throws -> Void = { _ in }) throws -> Bool {
        var display = ProgressDisplay()
        defer { display.end() }
        var remarks = Remarks(following: self)
        while true {
            // Read before the batches, so that the last results are not missed.
            let isOver = work.map { $0.hasEnded || (stop.level != .none && !$0.isRunningHere) } ?? (stop.level != .none)
            let descriptions = try batches.map { try BatchDescription(try store.batch($0), store: store) }
            try meanwhile(&display)
            display.show(Progress(descriptions))
            if descriptions.allSatisfy(\.batch.status.isTerminal) { return true }
            let worker = stop.level == .none && !isOver ? try work?.ensureWork() : nil
            for remark in try remarks.due(worker, descriptions) {
                display.clear()
                StandardError.print(remark)
            }
            if isOver { return false }
            // After a request to stop, `wait` returns at once.
            if stop.level == .none { stop.wait(seconds: store.pollSeconds) } else { usleep(100_000) }
        }
    }
}

/// Messages that are printed once, when their condition becomes true.
private struct Remarks {
    let following: Following
    private var hasNamedWorker = false
    private var hasNamedPause = false
    private var level = StopSignal.Level.none

    init(following: Following) { self.following = following }

    mutating func due(_ worker: WorkPlace?, _ batches: [BatchDescription]) throws -> [String] {
        var remarks: [String] = []
        if case .anotherProcess(let pid) = worker, !hasNamedWorker {
            hasNamedWorker = true
            remarks.append("the daemon\(pid.map { " (process \($0))" } ?? "") owns the database and does the work")
            if following.hasOwnSettings { remarks.append("warning: it has settings of its own; --set has no effect") }
        }
        if following.work == nil, !hasNamedWorker, try following.store.daemonPresence() == .absent {
            hasNamedWorker = true
            remarks.append("no daemon is running: `ttbatch daemon` works the queue off")
        }
        if !hasNamedPause, try isPaused(batches.map(\.batch)) {
            hasNamedPause = true
            remarks.append("paused: `ttbatch resume` lets it go on")
        }
        if following.stop.level > level {
            level = following.stop.level
            remarks.append(
                level.words(
                    inFlight: batches.reduce(0) { $0 + $1.batch.counts.running },
                    running: batches.reduce(0) { $0 + $1.running }, graceMS: following.graceMS, again: "press again"))
        }
        return remarks
    }

    private func isPaused(_ batches: [BatchSummary]) throws(JobStoreError) -> Bool {
        if batches.contains(where: { $0.paused != nil && !$0.status.isTerminal }) { return true }
        return try following.store.pausedSince() != nil
    }
}
