// How batches are named on the command line.

package import ArgumentParser
package import StoreContract
import Terminal

/// What a person calls a batch: its id, or the unique name that it was given.
package struct BatchReference: ExpressibleByArgument {
    package let text: String

    package init(argument: String) { text = argument }

    /// The batch that is meant. An id counts before a name of the same form.
    ///
    /// - Throws: `JobStoreError.batchNotFound`, or a failure where no batch has the name.
    package func id(in store: any JobStore) throws -> BatchID {
        let id = BatchID(text)
        if let id, (try? store.batch(id)) != nil { return id }
        if let named = try store.batch(named: text) { return named }
        // With its own words, for example for a database that cannot be read.
        if let id { return try store.batch(id).id }
        throw Failure(.notFound, "there is no batch \"\(text)\"; give an id or a unique name from `ttbatch list`")
    }
}

package struct BatchArgument: ParsableArguments {
    @Argument(help: "A batch: its id, e.g. batch_17 or 17, or its unique name.")
    package var batch: BatchReference

    package init() {}

    /// The batch that is meant; it exists.
    package func id(in store: any JobStore) throws -> BatchID { try batch.id(in: store) }
}
