// The daemon: owns the database, loads the model whose turn it is, works the queue off, and survives its device.

import Failpoints
import Foundation
public import JobStore
public import Logging
import ModelFiles
public import TTPlatform
import Tokenizer

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
    private let platforms: PlatformCatalogue
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
    ///   - platforms: where the configuration's device is looked for.
    public init(
        store: any JobStore, configuration: Configuration, scope: WorkScope = .everything, drains: Bool,
        stop: StopSignal, platforms: PlatformCatalogue = Platforms.all, clock: DaemonClock = .system, log: Logger
    ) {
        self.store = store
        self.configuration = configuration
        self.platforms = platforms
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
        failpoint("daemon.leased")
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
        for draft in try store.sweepOrphanedDrafts() {
            log.warning("removed \(draft), whose writing or pruning had died")
        }
        for batch in try store.completeCancellations(at: clock.now) { log.info("finished cancelling \(batch)") }
        let queue = WorkQueue(store: store, incarnation: opened.incarnation, scope: scope, clock: clock)
        defer {
            do throws(JobStoreError) {
                failpoint("daemon.stopping")
                try store.closeIncarnation(opened.incarnation, at: clock.now)
                try store.settle()
                failpoint("daemon.settled")
            } catch {
                log.error("could not close \(opened.incarnation): \(error)")
            }
        }
        log.info("\(opened.incarnation) owns the queue")
        try work(queue)
        log.info("\(opened.incarnation) has ended")
    }

    private func work(_ queue: WorkQueue) throws {
        var queue = queue
        var failures = 0
        let suspicion = Suspicion()
        while stop.level == .none {
            guard let batch = try persistently({ () throws(JobStoreError) in try queue.next() }) ?? nil else {
                if drains { return }
                _ = try persistently { () throws(JobStoreError) in try store.maintain() }
                stop.wait(seconds: Double(configuration.daemon.pollIntervalMS) / 1000)
                continue
            }
            switch try runSession(for: batch, queue, suspicion) {
            case .outOfWork: failures = 0
            case .stopped: return
            case .deviceFailed(let failure, let finished, let culprits):
                // A failure whose culprit was found says nothing about the device, and a job that brings it down by
                // itself is found before the device is given up.
                if finished > 0 { failures = 0 }
                if culprits == 0 { failures += 1 }
                if failures >= configuration.daemon.maxDeviceFailures {
                    throw DaemonError.deviceKeepsFailing(times: failures, last: failure.description)
                }
                log.warning("opening the device again after \(failure.description)")
            }
        }
    }

    /// Loads the batch's model and works; a batch whose model cannot be had fails as a whole, rather than waiting for
    /// ever or keeping others from their turn. `retry` runs it again.
    ///
    /// A device that cannot be opened or loaded now has failed like one that fails under a job, unless it would fail again.
    private func runSession(
        for batch: ClaimableBatch, _ queue: WorkQueue, _ suspicion: Suspicion
    ) throws -> SessionEnd {
        do {
            let loading = try SessionLoading(
                model: batch.model ?? configuration.model, configuration: configuration, platforms: platforms, log: log)
            return try loading.run(queue, drains: drains, stop: stop, clock: clock, suspicion: suspicion)
        } catch  where stop.level != .none && !(error is JobStoreError) {
            // What was given up because of the stop is no failure.
            log.warning("\(error)")
            return .stopped
        } catch let fault as DeviceFault where !fault.repeats {
            log.error("\(fault)")
            return .deviceFailed(EngineFailure(description: fault.description), finished: 0, culprits: 0)
        } catch  where isAboutTheBatch(error, batch) {
            log.error("\(batch.id) cannot run: \(error)")
            try failAll(of: batch, queue, because: error)
            return .outOfWork
        }
    }

    /// Whether `error` is the batch's model's fault, and not that of the device or the settings. Settings that do not fit
    /// a model which is not the configured one are no reason to keep the other batches waiting.
    private func isAboutTheBatch(_ error: any Error, _ batch: ClaimableBatch) -> Bool {
        guard let model = batch.model else { return false }
        return switch error {
        case is ModelLookupError, is ModelFileError, is TokenizerError, ConfigurationError.noModel: true
        case is ConfigurationError: model != ModelCatalogue.remembered(configuration.model)
        default: false
        }
    }

    private func failAll(of batch: ClaimableBatch, _ queue: WorkQueue, because error: any Error) throws {
        let reason = JobError(code: "model_unavailable", message: "\(error)", status: 503)
        while stop.level == .none {
            let jobs = try persistently { () throws(JobStoreError) in try queue.claim(1000, of: batch) } ?? []
            guard !jobs.isEmpty else { return }
            let completions = jobs.map { JobCompletion(ticket: $0.ticket, outcome: .failed(reason)) }
            _ = try persistently { () throws(JobStoreError) in
                try store.finish(completions, incarnation: queue.incarnation, at: clock.now)
            }
        }
    }

    /// Runs `body` until the store is in order; nil if the daemon was told to stop before. Jobs that were claimed go
    /// back when the incarnation is closed.
    private func persistently<Value>(_ body: () throws(JobStoreError) -> Value) throws(JobStoreError) -> Value? {
        var trouble = StoreTrouble(consequence: "the daemon waits", log: log)
        while true {
            do throws(JobStoreError) {
                let value = try body()
                trouble.isOver()
                return value
            } catch {
                try trouble.note(error)
                if stop.level != .none { return nil }
                stop.wait(seconds: Double(configuration.daemon.storeRetryMS) / 1000)
            }
        }
    }
}
