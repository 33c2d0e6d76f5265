// `ttbatch wait BATCH…`: waits until batches have ended; the exit code shows how they ended.

package import ArgumentParser
import Runtime
import Settings
package import StoreContract

package struct Wait: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Wait until batches have ended; the exit code shows how they ended, as for `run`.",
        discussion: "It only watches: a daemon must do the work, now or later.")

    @Argument(help: ArgumentHelp("Batches: ids such as batch_17 or 17, or unique names.", valueName: "batch"))
    package var batches: [BatchReference]

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.queueForReading(isPatient: true)
        var ids: [BatchID] = []
        for id in try batches.map({ try $0.id(in: store) }) where !ids.contains(id) { ids.append(id) }
        try Following.wait(for: ids, store)
        try BatchesReport(ids, store).end()
    }
}

extension Following {
    /// Waits until all batches have ended.
    package static func wait(for batches: [BatchID], _ store: any JobReading) throws {
        let following = Following(store: store, batches: batches, work: nil, stop: StopSignal(), graceMS: 0)
        _ = try following.untilDone()
    }
}
