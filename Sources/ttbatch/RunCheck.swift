// A `run` that cannot start leaves nothing in the queue: what is looked at before it stores anything, and what it takes back.

import BatchDaemon
import BuiltInPlatforms
import QueueCommands
import Runtime
import Settings
import StoreContract

struct RunCheck {
    private let store: any JobStore
    private let device: DeviceCheck

    /// Looks for the device.
    ///
    /// - Throws: `ConfigurationError.noDevice`.
    init(_ configuration: Configuration, _ store: any JobStore) throws {
        self.store = store
        device = try DeviceCheck(configuration.engine, .all(configuration.bridge))
    }

    /// Throws if a model could not be run here as it is configured. A daemon elsewhere has settings of its own.
    var model: EnqueueOptions.ModelCheck {
        { model in
            if case .running = try store.daemonPresence() { return }
            try device.check(model)
        }
    }

    /// Cancels what this `run` has stored, if no job of it has begun. Returns whether it did: not where anything has begun, or
    /// was there before.
    func withdraw(_ stored: [EnqueuedFile]) throws -> Bool {
        guard stored.allSatisfy({ !$0.existed }) else { return false }
        let batches = try stored.map { try store.batch($0.batch) }
        guard batches.allSatisfy({ $0.started == nil && !$0.status.isTerminal }) else { return false }
        for batch in batches { _ = try store.cancel(batch.id, at: TimeSource.system.now) }
        return true
    }
}
