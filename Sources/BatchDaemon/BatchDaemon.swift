// The daemon: owns the database, loads the model whose turn it is, works the queue off, and survives its device.

import Failpoints
import Foundation
public import JobStore
public import Logging
import ModelFiles
public import TTPlatform
import Tokenizer

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
        let course = DaemonCourse(
            store: store, incarnation: opened.incarnation, scope: scope, settings: configuration.daemon, drains: drains,
            stop: stop, clock: clock, log: log)
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
        try course.blameLoading(configuration.model)
        let watch = store.watch { [stop] in stop.wake() }
        defer { watch?.end() }
        log.info("\(opened.incarnation) owns the queue")
        try work(course)
        log.info("\(opened.incarnation) has ended")
    }

    private func work(_ course: DaemonCourse) throws {
        var course = course
        while true {
            let wakes = stop.wakeCount
            switch try course.turn() {
            case .end: return
            case .wait(let milliseconds): stop.wait(seconds: Double(milliseconds) / 1000, since: wakes)
            case .run(let batch):
                let delay = try course.note(try runSession(for: batch, &course))
                if delay > 0 { stop.wait(seconds: Double(delay) / 1000) }
            }
        }
    }

    /// Loads the batch's model and works. A batch whose model cannot be had is put off, and after so many tries, or at once
    /// where that does not pass, fails as a whole, rather than waiting for ever or keeping others from their turn. `retry`
    /// runs it again.
    ///
    /// A device that cannot be opened or loaded now has failed like one that fails under a job, unless it would fail again.
    private func runSession(for batch: ClaimableBatch, _ course: inout DaemonCourse) throws -> SessionEnd {
        if let error = try persistently({ () throws(JobStoreError) in try course.refusal(of: batch.id) }) ?? nil {
            try fail(batch, error, &course)
            return .outOfWork
        }
        let model = RequestedModel(batch, configuration)
        do {
            let end = try load(batch, model, course)
            switch end {
            case .modelFailed(let failure), .deviceFailed(let failure, _, _):
                guard let refusal = ModelRefusal(failure.fault, of: model) else { return end }
                try refuse(batch, refusal, &course)
                return .modelFailed(failure)
            case .outOfWork, .stopped: return end
            }
        } catch  where stop.level != .none && !(error is JobStoreError) {
            // What was given up because of the stop is no failure.
            log.warning("\((error as? UnopenedDevice)?.cause ?? error)")
            return .stopped
        } catch let fault as DeviceFault where fault.cause == .device {
            log.error("\(fault)")
            return .deviceFailed(EngineFailure(fault: fault), finished: 0, culprits: 0)
        } catch let unopened as UnopenedDevice {
            throw unopened.cause
        } catch {
            guard let refusal = ModelRefusal(error, of: model) else { throw error }
            try refuse(batch, refusal, &course)
            return .outOfWork
        }
    }

    /// Loads and works. Whose model it loads stands in the store meanwhile, for the case that the daemon dies of it.
    private func load(_ batch: ClaimableBatch, _ model: RequestedModel, _ course: DaemonCourse) throws -> SessionEnd {
        let (store, incarnation) = (course.queue.store, course.queue.incarnation)
        func note(_ batch: BatchID?) throws(JobStoreError) {
            try persistently { () throws(JobStoreError) in try store.noteLoading(for: batch, incarnation: incarnation) }
        }
        try note(batch.id)
        var isLoading = true
        do {
            let loading = try SessionLoading(
                model: model.name, configuration: configuration, platforms: platforms, log: log)
            failpoint("session.loading")
            return try loading.run(
                course.queue, drains: drains, stop: stop, clock: clock, suspicion: course.suspicion,
                isLoaded: {
                    isLoading = false
                    try note(nil)
                })
        } catch {
            if isLoading { try note(nil) }
            throw error
        }
    }

    private func refuse(_ batch: ClaimableBatch, _ refusal: ModelRefusal, _ course: inout DaemonCourse) throws {
        let error = try persistently { () throws(JobStoreError) in
            try course.refuse(batch.id, because: refusal)
        }
        if let error = error ?? nil { try fail(batch, error, &course) }
    }

    private func fail(_ batch: ClaimableBatch, _ error: JobError, _ course: inout DaemonCourse) throws(JobStoreError) {
        while try persistently({ () throws(JobStoreError) in try course.failJobs(of: batch, error) }) == false {}
    }

    /// Runs `body` until the store is in order; nil if the daemon was told to stop before. Jobs that were claimed go
    /// back when the incarnation is closed.
    @discardableResult
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
