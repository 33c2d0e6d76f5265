// Writes to the store on a thread of its own: while SQLite writes a group of lines, the next group is read and checked.

import Dispatch
import StoreContract

/// Writes groups to a draft, one behind the caller. Only one thread may call it; until `finish` has returned, no other
/// code may use the draft.
final class DraftWriting: @unchecked Sendable {
    // Accessed alternately by the caller and by the queue, never at the same time.
    private let draft: any BatchDraft
    private var outcome: Result<[DuplicateCustomID], JobStoreError> = .success([])
    private let queue = DispatchQueue(label: "ttbatch.draft")

    init(_ draft: any BatchDraft) { self.draft = draft }

    /// Starts to write a group after the previous one is written; returns the duplicates of the previous one.
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
