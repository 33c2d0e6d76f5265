// The daemon inside `run`, unless another process's daemon owns the database.

import BatchDaemon
import Foundation
import JobStore
import Logging

/// Sees to it that somebody works on some batches: a daemon on a thread of this process, or one that was there before.
final class EmbeddedDaemon: @unchecked Sendable {
    private let store: SQLiteJobStore
    private let configuration: Configuration
    private let batches: [BatchID]
    private let stop: StopSignal
    private let condition = NSCondition()
    private var isRunning = false
    private var result: Result<Void, any Error>?

    init(store: SQLiteJobStore, configuration: Configuration, batches: [BatchID], stop: StopSignal) {
        self.store = store
        self.configuration = configuration
        self.batches = batches
        self.stop = stop
    }

    /// Who does the work.
    enum Worker {
        case here
        case anotherProcess(pid: Int32?)
    }

    /// Starts the daemon here, unless one is at work already, here or elsewhere.
    func ensureWork() throws(JobStoreError) -> Worker {
        if condition.withLock({ isRunning || result != nil }) { return .here }
        if case .running(let pid) = try store.daemonPresence() { return .anotherProcess(pid: pid) }
        let lease: any DaemonLease
        do throws(JobStoreError) {
            lease = try store.acquireLease()
        } catch {
            // Another one was quicker.
            guard case .daemonRunning(_, let pid, _) = error else { throw error }
            return .anotherProcess(pid: pid)
        }
        start(lease)
        return .here
    }

    private func start(_ lease: any DaemonLease) {
        let daemon = BatchDaemon(
            store: store, configuration: configuration, scope: .batches(Set(batches)), drains: true, stop: stop,
            log: DaemonLog.make(level: .warning))
        condition.withLock { isRunning = true }
        let thread = Thread { [self] in
            let outcome = Result { try daemon.run(lease) }
            lease.release()
            condition.withLock {
                isRunning = false
                result = outcome
                condition.broadcast()
            }
        }
        thread.name = "daemon"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Whether the daemon is here and at work.
    var isRunningHere: Bool { condition.withLock { isRunning } }

    /// Whether the daemon here has ended, in whichever way.
    var hasEnded: Bool { condition.withLock { result != nil } }

    /// Waits for the end of the daemon here, if there is one, and throws what it threw.
    func end() throws {
        try condition.withLock {
            while isRunning { condition.wait() }
            try result?.get()
        }
    }
}
