// A batch in words, as a table row and as JSON.

import BatchDaemon
import JobStore
import PromptFiles

/// A batch and how fast it goes.
struct BatchDescription {
    let batch: BatchSummary
    let recent: RecentCompletions?
    let anotherAttempt: AnotherAttempt?
    /// How far its jobs in flight are, unless whoever said so seems to be gone.
    let progress: BatchProgress?

    init(_ batch: BatchSummary, store: any JobStore) throws {
        self.batch = batch
        recent = batch.status == .inProgress ? try store.recentCompletions(of: batch.id, limit: 200) : nil
        anotherAttempt = batch.status == .inProgress ? try store.anotherAttempt(of: batch.id) : nil
        let isFresh = batch.progress.map { DaemonClock.system.now - $0.updated < Self.freshMS } ?? false
        progress = isFresh ? batch.progress : nil
    }

    /// A daemon says every second how far it is; one that was killed leaves its last word.
    private static let freshMS: Int64 = 15_000

    /// Milliseconds until the last job ends.
    var etaMS: Int64? {
        guard let progress, let left = batch.expectation?.milliseconds, left < 1e15 else { return nil }
        // It was left when the daemon said so.
        return max(0, Int64(left) - (DaemonClock.system.now - progress.updated))
    }

    /// Tokens generated so far.
    var generatedTokens: Int64 {
        progress == nil ? Int64(batch.usage.completionTokens) : batch.generatedTokens
    }

    /// Jobs in batch slots.
    var running: Int64 { progress?.running ?? 0 }

    /// Jobs that have not ended and are in no batch slot: in the queue, or in flight and waiting for a slot.
    var waiting: Int64 { batch.counts.total - batch.counts.finished - running }

    /// Milliseconds from the first claim to the end, or to now.
    var elapsedMS: Int64? {
        batch.started.map { (batch.finished ?? DaemonClock.system.now) - $0 }
    }

    /// Generated tokens a second: lately where it runs, over its whole time where it has ended.
    var tokensPerSecond: Double? {
        guard batch.status.isTerminal else { return progress?.pace?.tokensPerSecond }
        guard let elapsedMS, elapsedMS > 0, batch.usage.completionTokens > 0 else { return nil }
        return Double(batch.usage.completionTokens) * 1000 / Double(elapsedMS)
    }

    /// `completed`, or `completed, 3 failed`.
    var statusWords: String {
        var words = batch.status.rawValue.replacing("_", with: " ")
        if batch.paused != nil, !batch.status.isTerminal { words += ", paused" }
        if batch.modelTrouble != nil, !batch.status.isTerminal { words += ", model unusable" }
        if batch.counts.failed > 0 { words += ", \(batch.counts.failed) failed" }
        if batch.counts.expired > 0 { words += ", \(batch.counts.expired) expired" }
        return words
    }
}

extension BatchDescription {
    /// What runs, and what results call it where that is another name.
    private var modelWords: String {
        guard let model = batch.model else { return "any" }
        guard let shown = batch.shownModel, shown != ModelCatalogue.shown(model) else { return model }
        return "\(model), in results \(shown)"
    }

    static let columns: [(title: String, alignment: Table.Alignment)] = [
        ("BATCH", .left), ("STATUS", .left), ("DONE", .right), ("RUNNING", .right), ("WAITING", .right),
        ("TOTAL", .right), ("TOKENS", .right), ("TOK/S", .right), ("ETA", .right), ("CREATED", .left), ("NAME", .left),
    ]

    var row: [String] {
        [
            batch.id.description, statusWords, "\(batch.counts.finished)",
            batch.status.isTerminal ? "-" : "\(running)", batch.status.isTerminal ? "-" : "\(waiting)",
            "\(batch.counts.total)", "\(generatedTokens)", tokensPerSecond.map(Quantity.rate) ?? "-",
            etaMS.map { Quantity.duration(milliseconds: $0) } ?? "-",
            Quantity.time(milliseconds: batch.created.rawValue), batch.uniqueName ?? batch.name,
        ]
    }

    /// Everything about the batch, a line for each fact.
    var lines: [String] {
        let counts = batch.counts
        var pairs = [
            ("batch", batch.id.description), ("file", batch.name), ("model", modelWords),
            ("status", statusWords),
            (
                "jobs",
                "\(counts.total) total: \(counts.pending) pending, \(counts.running) running"
                    + (progress.map { " (\($0.running) in batch slots)" } ?? "") + ", "
                    + "\(counts.succeeded) succeeded, \(counts.failed) failed"
                    + (counts.rejected > 0 ? " (\(counts.rejected) invalid lines)" : "")
                    + ", \(counts.cancelled) cancelled, \(counts.expired) expired"
            ),
            (
                "tokens",
                "\(batch.usage.promptTokens) prompt (\(batch.usage.cachedTokens) of them shared), "
                    + "\(generatedTokens) generated"
            ),
            ("created", Quantity.time(milliseconds: batch.created.rawValue)),
            ("started", Quantity.time(milliseconds: batch.started?.rawValue)),
            ("finished", Quantity.time(milliseconds: batch.finished?.rawValue)),
        ]
        if let name = batch.uniqueName { pairs.insert(("name", name), at: 1) }
        if batch.priority != .normal { pairs.append(("priority", "\(batch.priority.rawValue)")) }
        if let deadline = batch.deadline {
            pairs.append(("deadline", Quantity.time(milliseconds: deadline.rawValue)))
        }
        if let paused = batch.paused { pairs.append(("paused since", Quantity.time(milliseconds: paused.rawValue))) }
        if let trouble = batch.modelTrouble {
            let until = trouble.until.map { ", again at \(Quantity.time(milliseconds: $0.rawValue))" } ?? ""
            let times = trouble.times == 1 ? "once" : "\(trouble.times) times in a row"
            pairs.append(("model", "could not be used (\(times)\(until)): \(trouble.reason)"))
        }
        if let again = anotherAttempt {
            pairs.append(
                ("tried again", "\(again.jobs) jobs, from \(Quantity.time(milliseconds: again.next.rawValue))"))
        }
        if let original = batch.retryOf { pairs.insert(("retry of", original.description), at: 1) }
        if let elapsedMS { pairs.append(("elapsed", Quantity.duration(milliseconds: elapsedMS))) }
        if let tokensPerSecond {
            let lately = batch.status.isTerminal ? "" : " lately"
            pairs.append(("rate", "\(Quantity.rate(tokensPerSecond)) generated tokens/s\(lately)"))
        }
        if let rate = recent?.jobsPerSecond { pairs.append(("pace", "\(Quantity.rate(rate)) jobs/s lately")) }
        if let etaMS { pairs.append(("ETA", Quantity.duration(milliseconds: etaMS))) }
        if batch.timedJobs > 0 {
            let mean = { (sum: Int64) in Quantity.duration(milliseconds: sum / batch.timedJobs) }
            let timings = batch.timings
            pairs.append(
                (
                    "mean per job",
                    "queued \(mean(timings.queuedMS)), prefill \(mean(timings.prefillMS)), "
                        + "decode \(mean(timings.decodeMS)), total \(mean(timings.totalMS))"
                ))
        }
        return definitionLines(pairs)
    }

    /// OpenAI's batch object; what it has no place for stands under `ttbatch`, with `failures` where they were asked for.
    func json(failures: [FailureGroup]? = nil) -> JSONValue {
        let counts = batch.counts
        var object = BatchObject(
            id: batch.id.description, endpoint: batch.endpoint.flatMap(Endpoint.init(rawValue:)) ?? .completions,
            inputFileID: batch.name, status: BatchObject.Status(rawValue: batch.status.rawValue) ?? .inProgress,
            createdAt: batch.created.rawValue / 1000)
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

extension StandardOutput {
    /// Prints a JSON value on a line of its own.
    static func print(_ json: JSONValue) {
        var bytes: [UInt8] = []
        json.encode(into: &bytes)
        print(String(decoding: bytes, as: UTF8.self))
    }
}
