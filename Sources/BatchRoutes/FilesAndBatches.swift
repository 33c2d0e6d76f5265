// Everything about files and batches: the routes, and what works behind them.

package import HTTPExchange
package import Hummingbird
import Intake
package import ServiceLifecycle
import Settings
import StoreContract

/// `/v1/files` and `/v1/batches` of a server.
package struct FilesAndBatches: Sendable {
    private let uploads: UploadRoutes
    private let batches: BatchesRoutes
    private let validator: SubmissionValidator
    /// Answers online requests that are kept.
    package let storedRequests: StoredRequests
    /// Deletes files whose time is over.
    package let expiry: any Service

    /// Opens the folder of uploads, and goes on with what was submitted and not validated.
    ///
    /// - Throws: `UploadError`, `JobStoreError`.
    package init(_ served: ServedQueue) throws {
        let (configuration, store) = (served.configuration, served.store)
        let folder = try UploadFolder(
            path: configuration.uploadsDirectory, mostBytes: Int64(configuration.server.uploadLimitMB) << 20)
        try folder.sweep { try store.uploadedFile($0) != nil }
        validator = SubmissionValidator(store: store, folder: folder, log: served.log) {
            configuration.enqueuer(into: store, standard: configuration.rememberedModel ?? configuration.model)
        }
        storedRequests = StoredRequests(store: store, threads: served.threads) {
            configuration.enqueuer(into: store, standard: $0, $1)
        }
        uploads = UploadRoutes(store: store, folder: folder, threads: served.threads, memory: ResultFileMemory())
        batches = BatchesRoutes(store: store, threads: served.threads, validator: validator)
        expiry = ExpiredFiles(store: store, folder: folder, threads: served.threads, log: served.log)
    }

    package func add(to router: Router<ServerContext>) {
        uploads.add(to: router)
        batches.add(to: router)
    }

    /// Waits for the file that is being validated.
    package func end() { validator.end() }
}

extension Configuration {
    /// An enqueuer into `store` whose models are those that clients may name; requests that name none run on `standard`.
    fileprivate func enqueuer(
        into store: any JobStore, standard: String, _ change: (inout Enqueuer.Options) -> Void = { _ in }
    ) -> Enqueuer {
        var options = Enqueuer.Options(defaultModel: standard)
        options.engine = engine
        let shown = Self.shownName(of: standard)
        if shown != standard, let map = try? ModelMap(parsing: ["\(shown)=\(standard)"]) { options.modelMap = map }
        change(&options)
        return Enqueuer(store: store, catalogue: clientCatalogue(on: standard), options: options)
    }
}
