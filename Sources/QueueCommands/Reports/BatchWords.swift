// A batch in words: a row of a table, or one line per fact.

import ResultExport
import Runtime
import StoreContract
package import Terminal

extension BatchDescription {
    /// `completed`, or `completed, 3 failed`.
    package var statusWords: String {
        var words = batch.status.rawValue.replacing("_", with: " ")
        if batch.paused != nil, !batch.status.isTerminal { words += ", paused" }
        if batch.modelTrouble != nil, !batch.status.isTerminal { words += ", model unusable" }
        if batch.counts.failed > 0 { words += ", \(batch.counts.failed) failed" }
        if batch.counts.expired > 0 { words += ", \(batch.counts.expired) expired" }
        return words
    }
    /// The model that runs, and its name in results if that differs.
    private var modelWords: String {
        guard let model = batch.model else { return "any" }
        return otherModelName.map { "\(model), in results \($0)" } ?? model
    }

    package static let columns: [(title: String, alignment: Table.Alignment)] = [
        ("BATCH", .left), ("STATUS", .left), ("DONE", .right), ("RUNNING", .right), ("WAITING", .right),
        ("TOTAL", .right), ("TOKENS", .right), ("TOK/S", .right), ("ETA", .right), ("CREATED", .left), ("NAME", .left),
    ]

    package var row: [String] {
        [
            batch.id.description, statusWords, "\(batch.counts.finished)",
            batch.status.isTerminal ? "-" : "\(running)", batch.status.isTerminal ? "-" : "\(waiting)",
            "\(batch.counts.total)", "\(generatedTokens)", tokensPerSecond.map(Quantity.rate) ?? "-",
            etaMS.map { Quantity.duration(milliseconds: $0) } ?? "-",
            Quantity.time(milliseconds: batch.created.rawValue), batch.uniqueName ?? batch.name,
        ]
    }

    /// All facts about the batch, one per line.
    package var lines: [String] {
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
}
