// A queue for tests: a database in a folder of its own, and what clients do with it.

import FakeModel
import Intake
package import ModelFiles
import Runtime
import SQLiteStore
package import StoreContract
package import TestSupport

/// A database, a catalogue in which `tiny` and `other` are the tiny model, and short ways to use them.
package final class QueueFixture {
    package let folder: TemporaryFolder
    /// The database.
    package let path: String
    /// A client's view of it.
    package let client: any JobStore
    package let catalogue: ModelCatalogue

    package init() throws {
        folder = try TemporaryFolder()
        path = folder.file("jobs.db")
        client = try SQLiteJobStore(path: path, at: 0)
        catalogue = ModelCatalogue(directory: folder.path, named: ["tiny": TinyModel.path, "other": TinyModel.path])
    }

    /// Enqueues lines as a client does.
    package func enqueue(
        _ lines: [String], model: String? = nil, priority: BatchPriority = .normal, skipsInvalid: Bool = false
    ) throws -> BatchID {
        var options = Enqueuer.Options(defaultModel: "tiny")
        options.requestedModel = model
        options.priority = priority
        options.skipsInvalid = skipsInvalid
        let path = try folder.write("prompts.jsonl", lines.joined(separator: "\n"))
        return try Enqueuer(store: client, catalogue: catalogue, options: options)
            .enqueue(paths: [path]) { _ in }[0].batch
    }

    /// All results that there are, in order of input.
    package func results(_ batch: BatchID) throws -> [JobResult] {
        try client.results(ResultQuery(batch: batch), after: 0, limit: 10_000)
    }

    /// Every job of the batch as it stands.
    package func jobs(_ batch: BatchID) throws -> [JobResult] {
        try client.results(ResultQuery(batch: batch, states: Set(JobState.allCases)), after: 0, limit: 10_000)
    }
}

extension JobResult {
    /// The tokens of a success.
    package var generated: [Int32]? {
        if case .succeeded(let generation) = outcome { generation.choices[0].tokenIDs } else { nil }
    }

    /// The error of a failure.
    package var error: JobError? {
        if case .failed(let error) = outcome { error } else { nil }
    }
}
