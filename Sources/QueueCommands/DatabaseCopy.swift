// `ttbatch db copy`: a whole queue moves to another database.

package import ArgumentParser
import QueuePlaces
import Runtime
import StoreContract
import Terminal

/// `ttbatch db copy FROM TO`
package struct DatabaseCopy: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Copy a whole queue to a new database, from SQLite to PostgreSQL or back.",
        discussion: """
            Each place is a path, or an address like postgres://USER@HOST/DATABASE, whose password is best kept in ~/.pgpass. \
            Batches with their ids, jobs, results, keys and the list of uploaded files are the same in the copy, and a daemon \
            goes on with them there; jobs that were in flight when a daemon died are taken up by the next one as usual. Only \
            the numbers in the ids of output lines (batch_req_…) are others, and batches whose writer has died are left out.

            No daemon may run on either. The old queue can be read meanwhile; who wants to write to it waits, and gives up \
            after some seconds. It is not changed: run a daemon on one of the two only, or the work is done twice. The contents \
            of uploaded files are not in the database: take the folder FROM-files along.

            The new database must be empty. It has the whole copy at the end, or nothing.
            """)

    @Argument(help: ArgumentHelp("The queue: a path or postgres://….", valueName: "from"))
    package var from: String

    @Argument(help: ArgumentHelp("The new database: a path or postgres://….", valueName: "to"))
    package var to: String

    package init() {}

    package func validate() throws { _ = try places() }

    private func places() throws -> (from: CopyPlace, to: CopyPlace) {
        do { return (try CopyPlace(from), try CopyPlace(to)) } catch { throw ValidationError("\(error)") }
    }

    package func run() throws {
        let (source, target) = try places()
        let copied: CopiedQueue
        do {
            copied = try source.copy(to: target) { StandardError.print("ttbatch: warning: \($0)") }
        } catch let refusal as QueueCopyRefusal {
            throw Failure(.conflict, refusal.description)
        }
        let report = copied.report
        StandardError.print("copied \(report.batches) batches with \(report.jobs) jobs to \(copied.to)")
        guard report.files > 0 else { return }
        let folder = source.filesFolder.map { "take \($0) along" } ?? "take their folder along"
        StandardError.print("the contents of \(report.files) uploaded files are not in the database: \(folder)")
    }
}
