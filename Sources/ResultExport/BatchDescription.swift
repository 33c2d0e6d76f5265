// The state of a batch: what the store reports, values derived from it, and the batch object.

package import JSONText
import ModelFiles
import OpenAIFormats
import Runtime
package import StoreContract

/// A batch and its speed.
package struct BatchDescription {
    package let batch: BatchSummary
    package let recent: RecentCompletions?
    package let anotherAttempt: AnotherAttempt?
    /// The progress of its jobs in flight; nil if the daemon that reported it seems to be dead.
    package let progress: BatchProgress?

    package init(_ batch: BatchSummary, store: any JobReading) throws(JobStoreError) {
        self.batch = batch
        recent = batch.status == .inProgress ? try store.recentCompletions(of: batch.id, limit: 200) : nil
        anotherAttempt = batch.status == .inProgress ? try store.anotherAttempt(of: batch.id) : nil
        let isFresh = batch.progress.map { TimeSource.system.now - $0.updated < Self.freshMS } ?? false
        progress = isFresh ? batch.progress : nil
    }

    /// A daemon reports progress every second. The last report of a killed daemon stays, and is too old after this
    /// time.
    private static let freshMS: Int64 = 15_000

    /// Milliseconds until the last job ends.
    package var etaMS: Int64? {
        guard let progress, let left = batch.expectation?.milliseconds, left < 1e15 else { return nil }
        // The estimate was made at `progress.updated`.
        return max(0, Int64(left) - (TimeSource.system.now - progress.updated))
    }

    /// Tokens generated so far.
    package var generatedTokens: Int64 {
        progress == nil ? Int64(batch.usage.completionTokens) : batch.generatedTokens
    }

    /// What results call its model, where that is another name than what runs; nil where it is the same.
    package var otherModelName: String? {
        guard let model = batch.model, let shown = batch.shownModel, shown != ModelCatalogue.shown(model) else {
            return nil
        }
        return shown
    }

    /// Jobs in batch slots.
    package var running: Int64 {
        // The report may be older than the last results.
        min(progress?.running ?? 0, batch.counts.total - batch.counts.finished)
    }

    /// Jobs that have not ended and are in no batch slot: pending, or in flight and waiting for a slot.
    package var waiting: Int64 { batch.counts.total - batch.counts.finished - running }

    /// Milliseconds from the first claim to the end, or to now.
    package var elapsedMS: Int64? {
        batch.started.map { (batch.finished ?? TimeSource.system.now) - $0 }
    }

    /// Generated tokens per second: recently if it runs, over its whole time if it has ended.
    package var tokensPerSecond: Double? {
        guard batch.status.isTerminal else { return progress?.pace?.tokensPerSecond }
        guard let elapsedMS, elapsedMS > 0, batch.usage.completionTokens > 0 else { return nil }
        return Double(batch.usage.completionTokens) * 1000 / Double(elapsedMS)
    }
}

extension BatchDescription {
    /// OpenAI's batch object. Members that OpenAI does not have are under `ttbatch`, including `failures` if given.
    package func json(failures: [FailureGroup]? = nil) -> JSONValue {
        let counts = batch.counts
        var object = BatchObject(
            id: batch.id.description, endpoint: batch.endpoint.flatMap(Endpoint.init(rawValue:)) ?? .completions,
            inputFileID: batch.submission?.inputFile.rawValue ?? batch.name,
            status: BatchObject.Status(rawValue: batch.status.rawValue) ?? .inProgress,
            createdAt: batch.created.rawValue / 1000)
        object.window = batch.submission?.window
        object.errors = [BatchObject.InputError](json: batch.inputErrors ?? "") ?? []
        if case .object(let notes)? = batch.submission?.metadata.flatMap({ try? JSONValue(parsing: Array($0.utf8)) }) {
            object.metadata = notes
        }
        object.outputFileID = batch.resultFile(.output)?.rawValue
        object.errorFileID = batch.resultFile(.errors)?.rawValue
        object.model = batch.shownModel
        object.times.expires = batch.deadline.map { $0.rawValue / 1000 }
        object.times.inProgress = batch.started.map { $0.rawValue / 1000 }
        let finished = batch.finished.map { $0.rawValue / 1000 }
        switch batch.status {
        case .completed: object.times.completed = finished
        case .cancelled: object.times.cancelled = finished
        case .failed: object.times.failed = finished
        case .expired: object.times.expired = finished
        case .validating, .inProgress, .cancelling: break
        }
        object.requestCounts = BatchObject.RequestCounts(
            total: Int(counts.total), completed: Int(counts.succeeded), failed: Int(counts.failed))
        object.usage = BatchObject.Usage(
            inputTokens: batch.usage.promptTokens, cachedTokens: batch.usage.cachedTokens,
            outputTokens: batch.usage.completionTokens)
        guard case .object(var members) = object.json, case .object(var own) = ownJSON else { return object.json }
        if let failures {
            own.append(
                JSONValue.Member(
                    "failures",
                    .array(
                        failures.map { group in
                            [
                                "code": .string(group.code), "jobs": .int(group.jobs),
                                "attempts": .int(Int64(group.attempts)), "line": .int(group.line),
                                "message": .string(group.message),
                            ]
                        })))
        }
        members.append(JSONValue.Member("ttbatch", .object(own)))
        return .object(members)
    }

    private var ownJSON: JSONValue {
        let counts = batch.counts
        return [
            "file": .string(batch.name), "name": batch.uniqueName.map { .string($0) } ?? .null,
            "model": batch.model.map { .string($0) } ?? .null, "priority": .int(batch.priority.rawValue),
            "deadline_ms": batch.deadline.map { .int($0.rawValue) } ?? .null,
            "paused_ms": batch.paused.map { .int($0.rawValue) } ?? .null,
            "model_error": batch.modelTrouble.map { .string($0.reason) } ?? .null,
            "model_errors": .int(Int64(batch.modelTrouble?.times ?? 0)),
            "waiting_for_another_attempt": .int(anotherAttempt?.jobs ?? 0),
            "retry_of": batch.retryOf.map { .string($0.description) } ?? .null,
            "mixed_endpoints": .bool(batch.endpoint == nil),
            "pending": .int(counts.pending), "running": .int(counts.running),
            "in_batch_slots": .int(running), "generated_tokens": .int(generatedTokens),
            "succeeded": .int(counts.succeeded),
            "failed": .int(counts.failed), "invalid_lines": .int(counts.rejected),
            "cancelled": .int(counts.cancelled), "expired": .int(counts.expired),
            "created_ms": .int(batch.created.rawValue),
            "started_ms": batch.started.map { .int($0.rawValue) } ?? .null,
            "finished_ms": batch.finished.map { .int($0.rawValue) } ?? .null,
            "tokens_per_second": tokensPerSecond.map { .double($0) } ?? .null,
            "jobs_per_second": (recent?.jobsPerSecond).map { .double($0) } ?? .null,
            "eta_ms": etaMS.map { .int($0) } ?? .null,
        ]
    }
}

extension BatchSummary {
    /// The file of results of a kind, as soon as it has any; nil also if it was deleted.
    package func resultFile(_ kind: ResultFileKind) -> FileID? {
        let ended = kind == .output ? counts.succeeded : counts.failed + counts.expired + counts.cancelled
        return ended > 0 ? files[kind] : nil
    }
}
