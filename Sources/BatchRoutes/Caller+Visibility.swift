// What a caller sees: his tenant's batches and files, or all.

import HTTPExchange
import StoreContract

extension Caller {
    /// Whether the caller sees what is `tenant`'s.
    func sees(_ owner: Tenant?) -> Bool { tenant == nil || tenant == owner }

    /// A batch that the caller sees. Blocks.
    ///
    /// - Throws: `APIError`, the same for a batch that is not there and one that is another's.
    func batch(_ text: String, in store: any ServedStore) throws -> BatchSummary {
        if let id = BatchID(text), text.hasPrefix("batch_"), let batch = try batchIfAny(id, in: store),
            sees(batch.tenant)
        {
            return batch
        }
        throw APIError.notFound("there is no batch \(APIError.quoted(text))", param: "batch_id")
    }
}

/// A batch; nil if there is none. Drafts of other programs are not batches yet.
private func batchIfAny(_ id: BatchID, in store: any ServedStore) throws(JobStoreError) -> BatchSummary? {
    let batch: BatchSummary
    do throws(JobStoreError) {
        batch = try store.batch(id)
    } catch {
        guard case .batchNotFound = error else { throw error }
        return nil
    }
    return batch.isDraft && batch.submission == nil ? nil : batch
}
