// The exit codes for errors of the queue.

import Intake
import QueuePlaces
import Settings
import StoreContract
import Terminal

extension ExitStatus {
    /// The status for an error of intake, settings or the store; nil for any other error.
    package init?(queueError error: any Error) {
        switch (error, EnqueueError.fault(of: error)) {
        case (let failure as Failure, _): self = failure.status
        case (_, .notFound): self = .notFound
        case (_, .input): self = .invalidInput
        case (is InvalidConfiguration, _), (is InvalidQueueServer, _): self = .usage
        case (let error as JobStoreError, _): self.init(error)
        default: return nil
        }
    }

    private init(_ error: JobStoreError) {
        switch error {
        case .notFound, .batchNotFound, .hostNotFound: self = .notFound
        case .batchAlreadyFinished, .batchNotFinished, .batchIsDraft, .nothingToRetry, .daemonRunning, .nameTaken,
            .keyNameTaken:
            self = .conflict
        case .emptyBatch: self = .invalidInput
        case .notForThisStore: self = .usage
        case .diskFull, .busy, .unreachable: self = .temporary
        default: self = .operationalError
        }
    }
}
