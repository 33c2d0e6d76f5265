// What the server stands in front of: the queue, the loaded model, and the configuration.

package import Logging
package import Serving
package import Settings
package import StoreContract

/// What all routes answer from.
package struct ServedQueue: Sendable {
    /// The daemon's configuration.
    package let configuration: Configuration
    /// Where the server listens.
    package let address: ServerAddress
    /// The queue: another object than the daemon's, so that neither waits for the other.
    package let store: any ServedStore
    /// The model that online requests run on; the daemon tells it what is loaded.
    package let live: LiveModel
    /// For calls that block.
    package let threads = BlockingThreads(count: 4)
    /// What the forms of the page carry.
    package let formToken = FormToken()
    package let log: Logger
    /// Reads metrics that are only known at a scrape; it may block.
    package let refreshMetrics: @Sendable () -> Void

    /// What a server at `address` stands in front of.
    package init(
        _ configuration: Configuration, at address: ServerAddress, store: any ServedStore, log: Logger,
        refreshMetrics: @escaping @Sendable () -> Void
    ) {
        let settings = configuration.server
        self.configuration = configuration
        self.address = address
        self.store = store
        self.log = log
        self.refreshMetrics = refreshMetrics
        live = LiveModel(
            OnlineShareSettings(
                slots: settings.onlineSlots, prefillTokens: settings.prefillTokens, limit: settings.onlineLimit))
    }
}
