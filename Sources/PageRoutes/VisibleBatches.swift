// The batches that somebody may see: the only place where the page fetches any.

import StoreContract

/// The batches of a tenant, or everybody's.
struct VisibleBatches: Sendable {
    let store: any JobStore
    /// Whose; nil: everybody's.
    let tenant: Tenant?

    /// The newest ones, before a place if that is given.
    func newest(before: BatchID? = nil, limit: Int) throws(JobStoreError) -> [BatchSummary] {
        try store.batches(before: before, limit: limit, includingDrafts: false, of: tenant)
    }

    /// One of them.
    ///
    /// - Throws: `.batchNotFound` also if it is somebody else's, or still being written.
    func one(_ id: BatchID) throws(JobStoreError) -> BatchSummary {
        let batch = try store.batch(id)
        guard tenant == nil || batch.tenant == tenant, !batch.isDraft else { throw .batchNotFound(id) }
        return batch
    }
}
