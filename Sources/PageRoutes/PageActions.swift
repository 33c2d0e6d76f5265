// What the page's forms do: pause, resume, cancel, and run failed jobs again.

import HTTPExchange
import Hummingbird
import Runtime
import StoreContract

/// Performs what forms ask for.
struct PageActions: Sendable {
    enum Action: String, CaseIterable, Sendable {
        case pause, resume, cancel, retry

        var path: String { "/actions/" + rawValue }
    }

    let store: any JobStore
    let threads: BlockingThreads
    let token: FormToken
    /// A form names at most a page of batches.
    private static let mostBytes = 16 << 10

    /// Performs an action; returns where the browser goes then.
    ///
    /// - Throws: 403 for a form that is not from the page or a caller who may not, and the errors of the store.
    func perform(_ action: Action, _ request: Request, _ caller: Caller) async throws -> String {
        let body = try await request.body.collect(upTo: Self.mostBytes)
        let fields = FormFields(String(buffer: body))
        try token.check(fields["token"])
        try caller.require(.submit)
        let batches = try fields.all("batch").map { text in
            guard let id = BatchID(text) else { throw APIError.invalid("that is not a batch", param: "batch") }
            return id
        }
        if batches.isEmpty {
            guard caller.tenant == nil, action == .pause || action == .resume else {
                throw APIError.invalid("no batch is given", param: "batch")
            }
            try caller.require(.admin)
        }
        let code = fields["code"]
        let made = try await threads.run { [store] in
            let visible = VisibleBatches(store: store, tenant: caller.tenant)
            for batch in batches { _ = try visible.one(batch) }
            return try Self.perform(action, batches, code: code, store, at: TimeSource.system.now)
        }
        var place = "/?done=\(batches.isEmpty ? "queue-" : "")\(action.rawValue)"
        // To the new batch, if there is one to go to.
        if let only = made.count == 1 ? made.first : nil {
            place += "&batch=\(only)"
        } else if made.isEmpty, let from = fields["from"].flatMap({ BatchID($0) }) {
            place += "&batch=\(from)"
        }
        return place
    }

    /// Returns the batches that were made.
    private static func perform(
        _ action: Action, _ batches: [BatchID], code: String?, _ store: any JobStore, at now: Milliseconds
    ) throws(JobStoreError) -> [BatchID] {
        switch action {
        case .pause where batches.isEmpty: try store.pause(nil, at: now)
        case .resume where batches.isEmpty: try store.resume(nil)
        case .pause: for batch in batches { try store.pause(batch, at: now) }
        case .resume: for batch in batches { try store.resume(batch) }
        case .cancel: for batch in batches { _ = try store.cancel(batch, at: now) }
        case .retry:
            var made: [BatchID] = []
            for batch in batches {
                // The jobs of one cause have failed; without a cause, those that expired run again, too.
                let states: Set<JobState> = code == nil ? [.failed, .expired] : [.failed]
                made.append(try store.retry(batch, states: states, errorCode: code, at: now))
            }
            return made
        }
        return []
    }

    /// What is said after an action; nil for anything else, since the address is anybody's to write.
    static func words(_ done: String) -> String? {
        switch done {
        case "queue-pause": "The queue is paused: running jobs go on, and no other begins."
        case "queue-resume": "The queue goes on."
        case "pause": "The batch is paused: its running jobs go on."
        case "resume": "The batch goes on."
        case "cancel": "The batch is cancelled. Results that it had are kept."
        case "retry": "The jobs run again, in a new batch."
        default: nil
        }
    }
}
