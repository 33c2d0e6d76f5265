// Storing on a thread of its own: while SQLite writes a group of lines, the next is read and checked.

import Dispatch
import StoreContract

/// Writes to a draft, one group behind. One thread calls it; until `finish` has returned, nobody else uses the draft.
final class DraftWriting: @unchecked Sendable {
    // Handed to and fro between the caller and the queue, which never run at once.
    private let draft: any BatchDraft
    private var outcome: Result<[DuplicateCustomID], JobStoreError> = .success([])
    private let queue = DispatchQueue(label: "ttbatch.draft")

    init(_ draft: any BatchDraft) { self.draft = draft }

    /// Begins to write a group, once the one before is written; returns that one's duplicates.
    func append(_ jobs: [NewJob], rejected: [RejectedLine]) throws(JobStoreError) -> [DuplicateCustomID] {
        let duplicates = try finish()
        queue.async { [self] in
            do throws(JobStoreError) {
                outcome = .success(try draft.append(jobs, rejected: rejected))
            } catch {
                outcome = .failure(error)
            }
        }
        return duplicates
    }

    /// Waits for the last group, and returns its duplicates.
    func finish() throws(JobStoreError) -> [DuplicateCustomID] {
        let last = queue.sync {
            defer { outcome = .success([]) }
            return outcome
        }
        return try last.get()
    }
}
