// Names of batches on the command line.

package import ArgumentParser
package import StoreContract
import Terminal

/// A batch as a user names it: by its id or by its unique name.
package struct BatchReference: ExpressibleByArgument {
    package let text: String

    package init(argument: String) { text = argument }

    /// The id of the batch. An id takes precedence over a name of the same form.
    ///
    /// - Throws: `JobStoreError.batchNotFound`, or a failure if no batch has the name.
    package func id(in store: any JobReading) throws -> BatchID {
        let id = BatchID(text)
        if let id, (try? store.batch(id)) != nil { return id }
        if let named = try store.batch(named: text) { return named }
        // Other errors keep their message, e.g. that the database cannot be read.
        if let id { return try store.batch(id).id }
        throw Failure(.notFound, "there is no batch \"\(text)\"; give an id or a unique name from `ttbatch list`")
    }
}

package struct BatchArgument: ParsableArguments {
    @Argument(help: "A batch: its id, e.g. batch_17 or 17, or its unique name.")
    package var batch: BatchReference

    package init() {}

    /// The id of the batch, which exists.
    package func id(in store: any JobReading) throws -> BatchID { try batch.id(in: store) }
}
