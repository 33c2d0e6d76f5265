// How batches are named on the command line.

import ArgumentParser
import JobStore

/// What a person calls a batch: its id, or the unique name that it was given.
struct BatchReference: ExpressibleByArgument {
    let text: String

    init(argument: String) { text = argument }

    /// The batch that is meant. An id counts before a name of the same form.
    ///
    /// - Throws: `JobStoreError.batchNotFound`, or a failure where no batch has the name.
    func id(in store: SQLiteJobStore) throws -> BatchID {
        let id = BatchID(text)
        if let id, (try? store.batch(id)) != nil { return id }
        if let named = try store.batch(named: text) { return named }
        // With its own words, for example for a database that cannot be read.
        if let id { return try store.batch(id).id }
        throw Failure(.notFound, "there is no batch \"\(text)\"; give an id or a unique name from `ttbatch list`")
    }
}

struct BatchArgument: ParsableArguments {
    @Argument(help: "A batch: its id, e.g. batch_17 or 17, or its unique name.")
    var batch: BatchReference

    /// The batch that is meant; it exists.
    func id(in store: SQLiteJobStore) throws -> BatchID { try batch.id(in: store) }
}
