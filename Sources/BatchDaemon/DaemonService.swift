// The daemon: owns the database, loads the model whose turn it is, runs the queue's jobs, and recovers from device
// faults.

import Failpoints
import Foundation
public import Logging
public import Platform
public import Runtime
package import Serving
public import Settings
public import StoreContract

/// Runs a queue's jobs on one device. `run()` blocks the calling thread.
public struct DaemonService: Sendable {
    private let store: any JobStore
    private let configuration: Configuration
    private let platforms: PlatformCatalogue
    private let scope: WorkScope
    private let live: LiveModel?
    private let drains: Bool
    private let stop: StopSignal
    private let clock: TimeSource
    private let log: Logger

    /// A daemon for `store`.
    ///
    /// - Parameters:
    ///   - platforms: the platforms from which the configuration's device is chosen.
    ///   - drains: whether the daemon ends when no job in `scope` is left.
    ///   - stop: asks the daemon to end earlier.
    public init(
        store: any JobStore, configuration: Configuration, platforms: PlatformCatalogue,
        scope: WorkScope = .everything, drains: Bool, stop: StopSignal, clock: TimeSource = .system, log: Logger
    ) {
        self.init(
            store: store, configuration: configuration, platforms: platforms, scope: scope, drains: drains, stop: stop,
            clock: clock, log: log, live: nil)
    }

    /// A daemon that also keeps a model for online requests.
    ///
    /// - Parameter live: is told of the model that is loaded: first the configured one, then that of the batch that runs.
    package init(
        store: any JobStore, configuration: Configuration, platforms: PlatformCatalogue,
        scope: WorkScope = .everything, drains: Bool, stop: StopSignal, clock: TimeSource = .system, log: Logger,
        live: LiveModel?
    ) {
        self.live = live
        self.store = store
        self.configuration = configuration
        self.platforms = platforms
        self.scope = scope
        self.drains = drains
        self.stop = stop
        self.clock = clock
        self.log = log
    }

    /// Takes the queue's lease and runs until the queue is drained or a stop is requested.
    ///
    /// - Throws: `JobStoreError` (`.daemonRunning` if another daemon owns the queue), `DaemonError`, and the errors of
    ///   opening the device or the configured model.
    public func run() throws {
        let lease = try store.acquireLease()
        defer { lease.release() }
        try run(lease)
    }

    /// Runs with a lease that the caller has taken. A life that is declared dead is followed by another, with the model that is
    /// loaded.
    public func run(_ lease: any DaemonLease) throws {
        failpoint("daemon.leased")
        let host = ModelHost(
            configuration.engine, platforms: platforms, digestCache: configuration.digestCache,
            live: live, isStopping: { [stop] in stop.level != .none }, clock: clock,
            log: log)
        defer { close(host) }
        var life: Life?
        repeat { life = try runLife(lease, on: host) } while life?.isLost == true && stop.level == .none
    }

    /// One incarnation, from its beginning to its end; nil if the daemon was stopped before it began.
    private func runLife(_ lease: any DaemonLease, on host: ModelHost) throws -> Life? {
        guard let opened = try open(lease) else { return nil }
        let life = Life(opened.incarnation)
        showDaemon(version: Version.current, life.incarnation)
        JobMetrics().count(
            failed: opened.orphans.failed, because: .crash(maxCrashes: configuration.daemon.maxCrashes))
        if opened.orphans.requeued + opened.orphans.failed > 0 {
            log.warning(
                "the last daemon died: \(opened.orphans.requeued) jobs are back in the queue, \(opened.orphans.failed) failed"
            )
        }
        let heartbeat = store.membership.map {
            Heartbeat(
                of: life, $0, limitMS: configuration.daemon.deadAfterMS, maxCrashes: configuration.daemon.maxCrashes,
                stop: stop, log: log)
        }
        defer { heartbeat?.end() }
        let loop = DaemonLoop(
            store: store, life: life, scope: scope, settings: configuration.daemon, drains: drains,
            stop: stop, clock: clock, log: log)
        defer {
            // The devices are closed before the incarnation; the next one takes them over.
            if !life.isLost {
                close(host)
                heartbeat?.end()
                end(life)
            }
        }
        // What people think of this host is known before it claims.
        try persistently { () throws(JobStoreError) in try heartbeat?.renew() }
        heartbeat?.start()
        let began = clock.now
        try persistently { () throws(JobStoreError) in
            if scope != .everything { try store.membership?.noteScoped(life.incarnation) }
            for draft in try store.sweepOrphanedDrafts() {
                log.warning("removed \(draft), whose writing or pruning had died")
            }
            try noteLoaded(on: host, life)
            try loop.blameLoading(configuration.model, at: began)
        }
        let watch = store.watch { [stop] in stop.wake() }
        defer { watch?.end() }
        log.info("\(life.incarnation) \(store.membership == nil ? "owns" : "works on") the queue")
        try work(loop, on: host)
        log.info("\(life.incarnation) has ended")
        return life
    }

    /// Begins an incarnation. A server that is away is waited for; a file that cannot be written is an error.
    private func open(_ lease: any DaemonLease) throws(JobStoreError) -> OpenedIncarnation? {
        let daemon = NewIncarnation(
            pid: getpid(), host: ProcessInfo.processInfo.hostName, version: Version.current,
            model: configuration.model, device: configuration.engine.device)
        func begin() throws(JobStoreError) -> OpenedIncarnation {
            try store.openIncarnation(
                daemon, lease: lease, maxCrashes: configuration.daemon.maxCrashes, at: clock.now)
        }
        return store.membership == nil ? try begin() : try persistently(begin)
    }

    private func end(_ life: Life) {
        do throws(JobStoreError) {
            failpoint("daemon.stopping")
            try store.closeIncarnation(life.incarnation, at: clock.now)
            try store.settle()
            failpoint("daemon.settled")
        } catch {
            log.error("could not close \(life.incarnation): \(error)")
        }
    }

    /// Closes the devices, after the answers that somebody waits for.
    private func close(_ host: ModelHost) {
        live?.drain { stop.isGraceOver(.milliseconds(configuration.daemon.graceMS)) }
        host.close()
    }

    private func work(_ loop: DaemonLoop, on host: ModelHost) throws {
        var loop = loop
        var nextAttempt = clock.now
        while true {
            let wakeUps = stop.wakeUpCount
            switch try loop.poll() {
            case .end, .lost: return
            case .wait(let milliseconds):
                if live != nil, host.loaded == nil, clock.now >= nextAttempt {
                    nextAttempt = clock.now + configuration.daemon.maxBackoffMS
                    loadForOnlineRequests(host)
                } else {
                    stop.wait(seconds: Double(milliseconds) / 1000, since: wakeUps)
                }
            case .run(let batch):
                let end = try runSession(for: batch, on: host, &loop)
                switch end {
                case .deviceFailed, .modelFailed:
                    host.close()
                    try persistently { () throws(JobStoreError) in
                        try noteLoaded(on: host, loop.queue.life)
                    }
                case .outOfWork, .stopped, .lost: break
                }
                let delay = try loop.note(end)
                if delay > 0 { stop.wait(seconds: Double(delay) / 1000) }
            }
        }
    }

    /// Tells others what they may leave to this daemon: nothing, if it works on some batches only.
    private func noteLoaded(on host: ModelHost, _ life: Life) throws(JobStoreError) {
        try store.noteLoaded(
            scope == .everything ? host.loaded?.name : nil, on: host.loaded?.systemMembers?["device"],
            incarnation: life.incarnation)
    }

    /// Loads the configured model while no batch asks for one. If that fails, it is tried again after a while.
    private func loadForOnlineRequests(_ host: ModelHost) {
        do {
            _ = try host.load(try OpenedModel(configuration.model, in: configuration.catalogue))
        } catch {
            log.error("no model for online requests: \(error)")
        }
    }

    /// Loads the batch's model, unless it is loaded, and runs a session. If the model cannot be loaded, the batch is
    /// postponed, so that it does not keep other batches from their turn. After some attempts, or at once if the error
    /// is permanent, the whole batch fails; `retry` runs it again.
    ///
    /// An error of the device while it is opened or loaded is treated like a device fault under a job, unless it would
    /// happen again.
    private func runSession(
        for batch: ClaimableBatch, on host: ModelHost, _ loop: inout DaemonLoop
    ) throws -> SessionEnd {
        if let error = try persistently({ () throws(JobStoreError) in try loop.refusal(of: batch.id) }) ?? nil {
            try fail(batch, error, &loop)
            return .outOfWork
        }
        let model = RequestedModel(batch, configuration)
        let loaded: ModelHost.Loaded
        do {
            loaded = try load(model, for: batch, on: host, loop)
        } catch let failure as ModelFailure {
            // Loading that was abandoned because of a stop is not a failure.
            if stop.level != .none {
                log.warning("\(failure)")
                return .stopped
            }
            if case .device(let fault) = failure.cause {
                log.error("\(fault)")
                return .deviceFailed(EngineFailure(fault: fault), finished: 0, failedSuspects: 0)
            }
            guard let refusal = ModelRefusal(failure, of: model) else { throw failure.underlying }
            try refuse(batch, refusal, &loop)
            return .outOfWork
        }
        var session = Session(
            model: loaded, on: host, loop, settings: configuration.daemon, stop: stop, drains: drains, clock: clock,
            log: log)
        let end = try session.run()
        switch end {
        case .modelFailed(let failure), .deviceFailed(let failure, _, _):
            guard let refusal = ModelRefusal(ModelFailure(failure.fault), of: model) else { return end }
            try refuse(batch, refusal, &loop)
            return .modelFailed(failure)
        case .outOfWork, .stopped, .lost: return end
        }
    }

    /// Returns the model, loading it if necessary. Meanwhile the store records the batch, in case loading kills the
    /// daemon.
    private func load(
        _ model: RequestedModel, for batch: ClaimableBatch, on host: ModelHost, _ loop: DaemonLoop
    ) throws -> ModelHost.Loaded {
        if let loaded = host.loaded, loaded.name == model.name { return loaded }
        let incarnation = loop.queue.incarnation
        func note(_ batch: BatchID?) throws(JobStoreError) {
            try persistently { () throws(JobStoreError) in
                try store.noteLoading(for: batch, incarnation: incarnation)
                if batch == nil { try noteLoaded(on: host, loop.queue.life) }
            }
        }
        try note(batch.id)
        let loaded: ModelHost.Loaded
        do {
            let opened = try OpenedModel(model.name, in: configuration.catalogue)
            failpoint("session.loading")
            loaded = try host.load(opened)
        } catch {
            try note(nil)
            throw error
        }
        try note(nil)
        return loaded
    }

    private func refuse(_ batch: ClaimableBatch, _ refusal: ModelRefusal, _ loop: inout DaemonLoop) throws {
        let time = clock.now
        let error = try persistently { () throws(JobStoreError) in
            try loop.refuse(batch.id, because: refusal, at: time)
        }
        if let error = error ?? nil { try fail(batch, error, &loop) }
    }

    private func fail(_ batch: ClaimableBatch, _ error: JobError, _ loop: inout DaemonLoop) throws(JobStoreError) {
        while try persistently({ () throws(JobStoreError) in try loop.failJobs(of: batch, error) }) == false {}
    }

    /// Retries `body` while the store has a temporary error; nil if a stop was requested meanwhile. Claimed jobs are
    /// requeued when the incarnation is closed.
    @discardableResult
    private func persistently<Value>(_ body: () throws(JobStoreError) -> Value) throws(JobStoreError) -> Value? {
        var backoff = StoreBackoff(consequence: "the daemon waits", log: log)
        while true {
            do throws(JobStoreError) {
                let value = try body()
                backoff.reset()
                return value
            } catch {
                try backoff.note(error)
                if stop.level != .none { return nil }
                stop.wait(seconds: Double(configuration.daemon.storeRetryMS) / 1000)
            }
        }
    }
}
