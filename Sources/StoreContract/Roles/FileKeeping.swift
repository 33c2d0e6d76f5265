// The part of the store that the server uses: uploaded files, and batches that are made of them.

public import Runtime

/// Keeps the list of uploaded files, and batches from their submission until their file has been validated.
///
/// A submission is a batch in the status `validating` that does not end with its writer. Whoever validates its file fills a
/// draft of it: `beginBatch` with `NewBatch.submitted`. If that process dies, or the draft is discarded, the submission
/// stays, and can be filled anew.
public protocol FileKeeping: Sendable {
    /// Adds an uploaded file, whose contents are durable.
    func add(_ file: UploadedFile) throws(JobStoreError)

    /// An uploaded file; nil if there is none, or it was deleted.
    func uploadedFile(_ id: FileID) throws(JobStoreError) -> UploadedFile?

    /// Uploaded files by the time of their creation.
    ///
    /// - Parameters:
    ///   - tenant: if not nil, only this tenant's.
    ///   - bound: the creation and the identifier of a file; those after it in the order are returned. nil: from the first.
    func uploadedFiles(
        of tenant: Tenant?, after bound: (Milliseconds, FileID)?, newestFirst: Bool, limit: Int
    ) throws(JobStoreError) -> [UploadedFile]

    /// Deletes a file from the list; returns whether it was there.
    func deleteFile(_ id: FileID) throws(JobStoreError) -> Bool

    /// Files whose time is over, at most `limit`.
    func expiredFiles(at now: Milliseconds, limit: Int) throws(JobStoreError) -> [UploadedFile]

    /// The batch whose file of results has this identifier; nil if there is none.
    func resultFile(_ id: FileID) throws(JobStoreError) -> (batch: BatchID, kind: ResultFileKind)?

    /// Withdraws the file of results of a kind: it has no identifier any more. The results stay.
    func withdrawResultFile(_ kind: ResultFileKind, of batch: BatchID) throws(JobStoreError)

    /// Adds a batch that is yet to be validated; durable when it returns.
    ///
    /// - Parameter batch: has a `submission`. Its unique name is taken at once.
    /// - Throws: `.nameTaken`.
    func submit(_ batch: NewBatch, at now: Milliseconds) throws(JobStoreError) -> BatchID

    /// The submissions that are yet to be validated, the oldest first.
    func submissions() throws(JobStoreError) -> [BatchID]

    /// Ends a submission as `failed`, without any job.
    ///
    /// - Parameter errors: a JSON array for people and programs.
    /// - Throws: `.draftClosed` if it is no submission any more.
    func reject(_ batch: BatchID, errors: String, at now: Milliseconds) throws(JobStoreError)

    /// Deletes an ended batch with all that belongs to it.
    /// - Throws: `.batchNotFound`, `.batchNotFinished`, `.batchIsDraft`.
    func delete(_ batch: BatchID) throws(JobStoreError)
}
