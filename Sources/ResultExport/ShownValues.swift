// What of the queue's values goes over HTTP: no path of the server's files, and no name of its host.

import Foundation
import ModelFiles
package import StoreContract

extension String {
    /// The last part of a path.
    fileprivate var lastPart: String { split(separator: "/").last.map(String.init) ?? self }

    /// The text with the last parts of the paths in it; those of requests stay.
    package var withoutPaths: String {
        replacing(/(^|[\s"'`(=,:;\[])((?:~|\.\.?)?\/(?!\/|v1\/)[^\s"'`(),;\]]*\/[^\s"'`(),;:\]]+)/) { match in
            match.output.1 + String(match.output.2).lastPart
        }
    }
}

extension BatchSummary {
    /// The batch as callers see it: its file's name without folders, its model by its name.
    package var shown: BatchSummary {
        var batch = self
        batch.name = name.lastPart
        batch.model = model.map { ModelCatalogue.shown($0) }
        batch.modelName = modelName.map { ModelCatalogue.shown($0) }
        batch.modelTrouble?.reason = modelTrouble?.reason.withoutPaths ?? ""
        return batch
    }

    /// A message of one of its jobs. Those about lines begin with the file's name; faults of the server may name its files.
    fileprivate func shown(message: String, isOfServer: Bool) -> String {
        isOfServer ? message.withoutPaths : message.replacing(name + ":", with: name.lastPart + ":")
    }
}

extension FailureGroup {
    /// The group as callers see it.
    package func shown(in batch: BatchSummary) -> FailureGroup {
        var group = self
        let isOfServer = [JobError.modelUnavailable, JobError.crashedDaemonRepeatedly, JobError.badOutput].contains(
            code)
        group.message = batch.shown(message: message, isOfServer: isOfServer)
        return group
    }
}

extension JobResult {
    /// The result as callers see it.
    package func shown(in batch: BatchSummary) -> JobResult {
        guard case .failed(var error) = outcome else { return self }
        error.message = batch.shown(message: error.message, isOfServer: error.status >= 500)
        var result = self
        result.outcome = .failed(error)
        return result
    }
}

extension SystemStatus {
    /// The state as callers see it.
    package var shown: SystemStatus {
        var status = self
        if let model = latestIncarnation?.daemon.model {
            status.latestIncarnation?.daemon.model = ModelCatalogue.shown(model)
            status.latestIncarnation?.daemon.host = ""
            status.latestIncarnation?.daemon.device = ""
        }
        return status
    }
}
