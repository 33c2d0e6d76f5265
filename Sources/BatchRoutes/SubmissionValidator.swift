// Validates the files of submitted batches, one after another, on a thread of its own.

import Foundation
package import Intake
package import Logging
import OpenAIFormats
import Runtime
package import StoreContract

/// Turns submissions into batches that run, or fails them. What was submitted and not yet validated when the last server
/// ended is validated by the next one.
package final class SubmissionValidator: Sendable {
    private enum Message: Sendable { case submitted, end }

    private let store: any ServedStore
    private let folder: UploadFolder
    private let enqueuer: @Sendable () -> Enqueuer
    private let log: Logger
    private let mailbox = Mailbox<Message>()
    private let ended = DispatchSemaphore(value: 0)

    /// Starts with what there is.
    ///
    /// - Parameter enqueuer: makes an enqueuer into `store`, whose models are those that clients may name.
    package init(
        store: any ServedStore, folder: UploadFolder, log: Logger, enqueuer: @escaping @Sendable () -> Enqueuer
    ) {
        self.store = store
        self.folder = folder
        self.enqueuer = enqueuer
        self.log = log
        mailbox.send(.submitted)
        DetachedThread.start("validator") { [self] in
            run()
            ended.signal()
        }
    }

    /// There is a new submission in the store.
    func wake() { mailbox.send(.submitted) }

    /// Ends after the file that is being validated.
    package func end() {
        mailbox.send(.end)
        ended.wait()
    }

    private func run() {
        while true {
            let messages = mailbox.receiveWaiting()
            if messages.contains(where: { if case .end = $0 { true } else { false } }) { return }
            validateAll()
        }
    }

    private func validateAll() {
        do {
            // Whoever submits another one meanwhile wakes this thread again.
            for batch in try store.submissions() { try validate(batch) }
        } catch {
            // The store's trouble is for a while, or the daemon's; the submissions stay.
            log.error("submitted batches cannot be validated now: \(error)")
            DispatchQueue.global().asyncAfter(deadline: .now() + 5) { [self] in wake() }
        }
    }

    private func validate(_ id: BatchID) throws {
        do {
            let batch = try store.batch(id)
            guard let submission = batch.submission else { return }
            // In a queue of several hosts another one has the file, and validates it.
            if store.membership != nil, !folder.holds(submission.inputFile) { return }
            let report = try enqueuer().fill(batch, from: folder.contents(of: submission.inputFile))
            log.info("\(batch.id): \(report.jobs) jobs over HTTP")
        } catch let refused as RefusedSubmission {
            log.info("\(id): its file was refused, \(refused.errors.count) errors")
            do throws(JobStoreError) {
                try store.reject(id, errors: refused.errors.json, at: TimeSource.system.now)
            } catch .draftClosed {}
        } catch JobStoreError.draftClosed, JobStoreError.batchNotFound {
            // It was cancelled meanwhile, and perhaps deleted.
        }
    }
}
