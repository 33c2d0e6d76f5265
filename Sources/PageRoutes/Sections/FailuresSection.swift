// Failed jobs by their causes, over recent batches: how many, when, which ones, and a button that runs them again.

import Foundation
import Runtime
import StoreContract

struct FailuresSection: Sendable, Hashable {
    /// The failed jobs that were looked at, of one batch.
    struct Source: Sendable, Hashable {
        let batch: BatchSummary
        /// At most `limit`, those of the first lines.
        let jobs: [JobResult]
        /// The batch that ran them again, if there is one.
        let retriedAs: BatchID?
    }

    /// An error's text without its numbers, and how often it occurred.
    struct Message: Sendable, Hashable {
        let text: String
        let count: String
    }

    /// What a cause did to one batch.
    struct Share: Sendable, Hashable {
        let batch: String
        let jobs: String
        let retriedAs: String?
    }

    struct Cause: Sendable, Hashable {
        let code: String
        let jobs: String
        let messages: [Message]
        let otherMessages: String?
        let first: ShownTime?
        let last: ShownTime?
        let customIDs: [String]
        /// Where else than in the one batch that is looked at.
        let shares: [Share]
        let otherShares: String?
        /// The batches whose jobs can be run again now.
        let retryable: [String]
        let mayRetry: Bool
        /// Why there is no button, or nil.
        let note: String?
        let token: String
        /// The one batch that is looked at, to come back to.
        let from: String?
    }

    /// The most failed jobs of a batch that are looked at.
    static let limit = 300

    let causes: [Cause]
    let isEmpty: Bool
    /// What was looked at.
    let scope: String

    init(_ sources: [Source], view: PageView, token: String, now: Milliseconds) {
        var groups: [String: [(source: Source, job: JobResult, error: JobError)]] = [:]
        for source in sources {
            for job in source.jobs {
                guard case .failed(let error) = job.outcome else { continue }
                groups[error.code, default: []].append((source, job, error))
            }
        }
        causes = groups.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.map { code, entries in
            Self.cause(code, entries, view: view, token: token, now: now)
        }
        isEmpty = causes.isEmpty
        let isCut = sources.contains { $0.batch.counts.failed > Int64($0.jobs.count) }
        scope =
            (view.batch == nil ? "In the \(BatchesSection.limit) batches of this page" : "In this batch")
            + (isCut ? ", the first \(Self.limit) failed lines of each." : ".")
    }

    private static func cause(
        _ code: String, _ entries: [(source: Source, job: JobResult, error: JobError)], view: PageView, token: String,
        now: Milliseconds
    ) -> Cause {
        let messages = Dictionary(grouping: entries) { withoutNumbers(PageWords.message($0.error.message)) }
            .sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        let batches = Dictionary(grouping: entries) { $0.source.batch.id }.sorted { $0.key > $1.key }
        // The lines of rejected jobs have no request, and would be rejected again.
        let canRun = batches.filter { _, entries in entries.contains { $0.job.endpoint != nil } }
        let retryable = canRun.filter {
            $0.value[0].source.batch.status.isTerminal && $0.value[0].source.retriedAs == nil
        }
        let note: String? =
            if !retryable.isEmpty || !view.mayAct {
                nil
            } else if canRun.isEmpty {
                "Lines that were invalid at the enqueue are not run again: correct them and enqueue them anew."
            } else if canRun.contains(where: { !$0.value[0].source.batch.status.isTerminal }) {
                "They can be run again when their batch has ended."
            } else {
                "They were run again already."
            }
        let times = entries.compactMap(\.job.finished).sorted()
        return Cause(
            code: code, jobs: PageWords.count(Int64(entries.count), "job"),
            messages: messages.prefix(3).map { Message(text: $0.key, count: PageWords.count(Int64($0.value.count))) },
            otherMessages: messages.count > 3 ? "and \(messages.count - 3) more texts" : nil,
            first: times.first.map { ShownTime($0, now: now) }, last: times.last.map { ShownTime($0, now: now) },
            customIDs: distinct(entries.compactMap(\.job.customID)).prefix(3).map { String($0.prefix(80)) },
            shares: view.batch != nil
                ? []
                : batches.prefix(4).map { id, entries in
                    Share(
                        batch: id.description, jobs: PageWords.count(Int64(entries.count)),
                        retriedAs: entries[0].source.retriedAs?.description)
                },
            otherShares: view.batch == nil && batches.count > 4 ? "and \(batches.count - 4) more" : nil,
            retryable: retryable.map(\.key.description), mayRetry: view.mayAct && !retryable.isEmpty, note: note,
            token: token, from: view.batch?.description)
    }

    private static func distinct(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    /// Messages that differ only in numbers are one.
    static func withoutNumbers(_ text: String) -> String {
        var output = ""
        var isNumber = false
        for character in text {
            if character.isASCII, character.isNumber {
                if !isNumber { output.append("N") }
                isNumber = true
            } else {
                output.append(character)
                isNumber = false
            }
        }
        return output
    }
}
