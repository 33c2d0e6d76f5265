// Makes sure that a `run` which cannot start leaves no jobs in the queue: checks before storing, and withdrawal after.

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

    /// Throws if the model cannot run here with this configuration. A daemon elsewhere has its own settings, so nothing
    /// is checked then.
    var model: EnqueueOptions.ModelCheck {
        { model in
            if case .running = try store.daemonPresence() { return }
            try device.check(model)
        }
    }

    /// Throws if the model of this name cannot run here; nothing is checked if a daemon elsewhere does the work.
    func checkModel(named name: String, _ configuration: Configuration) throws {
        if case .running = try store.daemonPresence() { return }
        try device.check(named: name, configuration)
    }

    /// Cancels what this `run` has stored, if none of its jobs was claimed and no batch existed before. Returns whether
    /// it did.
    func withdraw(_ stored: [EnqueuedFile]) throws -> Bool {
        guard stored.allSatisfy({ !$0.existed }) else { return false }
        let batches = try stored.map { try store.batch($0.batch) }
        guard batches.allSatisfy({ $0.started == nil && !$0.status.isTerminal }) else { return false }
        for batch in batches { _ = try store.cancel(batch.id, at: TimeSource.system.now) }
        return true
    }
}
