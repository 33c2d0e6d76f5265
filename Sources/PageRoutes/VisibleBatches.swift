// The batches that somebody may see: the only place where the page fetches any.

import StoreContract

/// The batches of a tenant, or everybody's.
struct VisibleBatches: Sendable {
    let store: any JobStore
    /// Whose; nil: everybody's.
    let tenant: Tenant?

    /// The newest ones, before a place if that is given.
    func newest(before: BatchID? = nil, limit: Int) throws(JobStoreError) -> [BatchSummary] {
        // Batches do not tell yet whose they are, so a tenant sees none rather than everybody's.
        guard tenant == nil else { return [] }
        return try store.batches(before: before, limit: limit, includingDrafts: false)
    }

    /// One of them.
    ///
    /// - Throws: `.batchNotFound` also if it is somebody else's, or still being written.
    func one(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        guard tenant == nil else { throw .batchNotFound(id) }
        let batch = try store.batch(id)
        guard !batch.isDraft else { throw .batchNotFound(id) }
        return batch
    }
}
