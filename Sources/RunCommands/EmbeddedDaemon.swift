// The daemon inside `run`, unless another process's daemon owns the database.

import BatchDaemon
import BuiltInPlatforms
import Foundation
import Logging
import QueueCommands
import Runtime
import Settings
import StoreContract

/// Makes sure that a daemon works on batches: one on a thread of this process, or one of another process.
final class EmbeddedDaemon: BatchWorker, @unchecked Sendable {
    private let store: any JobStore
    private let configuration: Configuration
    private let batches: [BatchID]
    private let stop: StopSignal
    private let condition = NSCondition()
    private var isRunning = false
    private var result: Result<Void, any Error>?

    init(store: any JobStore, configuration: Configuration, batches: [BatchID], stop: StopSignal) {
        self.store = store
        self.configuration = configuration
        self.batches = batches
        self.stop = stop
    }

    func ensureWork() throws(JobStoreError) -> WorkPlace {
        if condition.withLock({ isRunning || result != nil }) { return .here }
        if case .running(let pid) = try store.daemonPresence() { return .anotherProcess(pid: pid) }
        let lease: any DaemonLease
        do throws(JobStoreError) {
            lease = try store.acquireLease()
        } catch {
            // Another process took the lease first.
            guard case .daemonRunning(_, let pid, _) = error else { throw error }
            return .anotherProcess(pid: pid)
        }
        start(lease)
        return .here
    }

    private func start(_ lease: any DaemonLease) {
        let daemon = DaemonService(
            store: store, configuration: configuration, platforms: .all(configuration.bridge),
            scope: .batches(Set(batches)), drains: true, stop: stop,
            log: DaemonLog.make(level: .warning))
        condition.withLock { isRunning = true }
        DetachedThread.start("daemon", stackSize: 8 << 20) { [self] in
            let outcome = Result { try daemon.run(lease) }
            lease.release()
            condition.withLock {
                isRunning = false
                result = outcome
                condition.broadcast()
            }
        }
    }

    var isRunningHere: Bool { condition.withLock { isRunning } }

    var hasEnded: Bool { condition.withLock { result != nil } }

    /// Waits until the daemon here has ended, if there is one, and rethrows its error.
    func end() throws {
        try condition.withLock {
            while isRunning { condition.wait() }
            try result?.get()
        }
    }
}
