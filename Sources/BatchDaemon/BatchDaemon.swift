// The daemon: owns the database, loads the model whose turn it is, works the queue off, and survives its device.

import Foundation
public import JobStore
public import Logging
import TTPlatform

/// Why a daemon could not go on.
public enum DaemonError: Error, CustomStringConvertible {
    /// The device failed again and again without finishing a job in between.
    case deviceKeepsFailing(times: Int, last: String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .deviceKeepsFailing(let times, let last):
            "the device failed \(times) times in a row without finishing a job (\(last)); its jobs are back in the queue. "
                + "Check the device, then start the daemon again"
        }
    }
}

/// Works a queue off on one device. `run()` blocks the thread that calls it.
public struct BatchDaemon: Sendable {
    private let store: any JobStore
    private let configuration: Configuration
    private let scope: WorkScope
    private let drains: Bool
    private let stop: StopSignal
    private let clock: DaemonClock
    private let log: Logger

    /// A daemon for `store`.
    ///
    /// - Parameters:
    ///   - drains: it ends when no job in `scope` is left.
    ///   - stop: asks it to end before.
    public init(
        store: any JobStore, configuration: Configuration, scope: WorkScope = .everything, drains: Bool,
        stop: StopSignal, clock: DaemonClock = .system, log: Logger
    ) {
        self.store = store
        self.configuration = configuration
        self.scope = scope
        self.drains = drains
        self.stop = stop
        self.clock = clock
        self.log = log
    }

    /// Takes the queue and works until it is drained or told to stop.
    ///
    /// - Throws: `JobStoreError` (`.daemonRunning` if another daemon owns the queue), `DaemonError`, and what opening the
    ///   device or the configured model throws.
    public func run() throws {
        let lease = try store.acquireLease()
        defer { lease.release() }
        try run(lease)
    }

    /// The same with a lease that the caller has taken.
    public func run(_ lease: any DaemonLease) throws {
        let opened = try store.openIncarnation(
            NewIncarnation(
                pid: getpid(), host: ProcessInfo.processInfo.hostName, version: Version.current,
                model: configuration.model, device: configuration.engine.device),
            lease: lease, maxCrashes: configuration.daemon.maxCrashes, at: clock.now)
        if opened.orphans.requeued + opened.orphans.failed > 0 {
            log.warning(
                "the last daemon died: \(opened.orphans.requeued) jobs are back in the queue, \(opened.orphans.failed) failed"
            )
        }
        for draft in try store.sweepOrphanedDrafts() { log.warning("removed \(draft), whose enqueue had died") }
        for batch in try store.completeCancellations(at: clock.now) { log.info("finished cancelling \(batch)") }
        let queue = WorkQueue(store: store, incarnation: opened.incarnation, scope: scope, clock: clock)
        defer {
            do throws(JobStoreError) {
                try store.closeIncarnation(opened.incarnation, at: clock.now)
                try store.maintain()
            } catch {
                log.error("could not close \(opened.incarnation): \(error)")
            }
        }
        log.info("\(opened.incarnation) owns the queue")
        try work(queue)
        log.info("\(opened.incarnation) has ended")
    }

    private func work(_ queue: WorkQueue) throws {
        var failures = 0
        while stop.level == .none {
            guard let batch = try queue.next() else {
                if drains { return }
                try store.maintain()
                stop.wait(seconds: Double(configuration.daemon.pollIntervalMS) / 1000)
                continue
            }
            let name = batch.model ?? configuration.model
            let loading: SessionLoading
            do {
                loading = try SessionLoading(model: name, configuration: configuration, log: log)
            } catch {
                guard batch.model != nil else { throw error }
                log.error("\(batch.id) cannot run: \(error)")
                try failAll(of: batch, queue, because: error)
                continue
            }
            switch try loading.run(queue, drains: drains, stop: stop, clock: clock) {
            case .outOfWork: failures = 0
            case .stopped: return
            case .deviceFailed(let failure, let finished):
                failures = finished > 0 ? 1 : failures + 1
                if failures >= 5 { throw DaemonError.deviceKeepsFailing(times: failures, last: failure.description) }
                log.warning("opening the device again after \(failure.description)")
            }
        }
    }

    /// A batch whose model cannot be had fails as a whole, rather than waiting for ever; `retry` runs it again.
    private func failAll(of batch: ClaimableBatch, _ queue: WorkQueue, because error: any Error) throws {
        let reason = JobError(code: "model_unavailable", message: "\(error)", status: 503)
        while let next = try queue.next(), next.id == batch.id {
            let jobs = try queue.claim(1000, of: next)
            let completions = jobs.map { JobCompletion(ticket: $0.ticket, outcome: .failed(reason)) }
            _ = try store.finish(completions, incarnation: queue.incarnation, at: clock.now)
        }
    }
}
