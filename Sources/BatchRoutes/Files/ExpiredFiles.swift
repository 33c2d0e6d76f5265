// Deletes uploaded files whose time is over.

package import HTTPExchange
package import Logging
import Runtime
import ServiceLifecycle
package import StoreContract

/// Looks every ten minutes for files to delete, until the server stops.
package struct ExpiredFiles: Service {
    private let store: any ServedStore
    private let folder: UploadFolder
    private let threads: BlockingThreads
    private let log: Logger

    /// Looks after the files of `folder`.
    package init(store: any ServedStore, folder: UploadFolder, threads: BlockingThreads, log: Logger) {
        self.store = store
        self.folder = folder
        self.threads = threads
        self.log = log
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await threads.run { try deleteAll() } } catch {
                    log.error("expired files cannot be deleted now: \(error)")
                }
                try? await Task.sleep(for: .seconds(600))
            }
        }
    }

    private func deleteAll() throws {
        while true {
            let expired = try store.expiredFiles(at: TimeSource.system.now, limit: 100)
            if expired.isEmpty { return }
            for file in expired {
                _ = try store.deleteFile(file.id)
                folder.delete(file.id)
            }
        }
    }
}
