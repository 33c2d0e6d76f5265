// A `run` that cannot start leaves nothing in the queue: what is looked at before it stores anything, and what it takes back.

import BatchDaemon
import JobStore
import ModelFiles
import TTPlatform

struct RunCheck {
    private let configuration: Configuration
    private let store: SQLiteJobStore
    private let platform: any DevicePlatform

    /// Looks for the device.
    ///
    /// - Throws: `ConfigurationError.noDevice`.
    init(_ configuration: Configuration, _ store: SQLiteJobStore) throws {
        self.configuration = configuration
        self.store = store
        platform = try Platforms.all.choose(configuration.engine)
    }

    /// Throws if the model could not be run here as it is configured. A daemon elsewhere has settings of its own.
    func model(_ model: ModelConfig) throws {
        if case .running = try store.daemonPresence() { return }
        try platform.check(configuration.engine, for: model)
    }

    /// Cancels what this `run` has stored, if no job of it has begun. Returns whether it did: not where anything has begun, or
    /// was there before.
    func withdraw(_ stored: [EnqueueReport]) throws -> Bool {
        guard stored.allSatisfy({ !$0.existed }) else { return false }
        let batches = try stored.map { try store.batch($0.batch) }
        guard batches.allSatisfy({ $0.started == nil && !$0.status.isTerminal }) else { return false }
        for batch in batches { _ = try store.cancel(batch.id, at: DaemonClock.system.now) }
        return true
    }
}
