// `ttbatch retry BATCH`: a new batch with the jobs that failed.

import ArgumentParser
import BatchDaemon
import JobStore

struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the failed jobs of a finished batch again; prints the new batch's id.",
        discussion: """
            A finished job never changes, so the failed ones are copied into a new batch with the same custom_ids. Lines \
            that were invalid at enqueue are left out: they would be invalid again.
            """)

    @OptionGroup var target: BatchArgument
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let id = try target.id()
        let configuration = try shared.configuration()
        _ = try shared.storeForReading().batch(id)
        let copy = try shared.storeForWriting(configuration).retry(id, at: DaemonClock.system.now)
        StandardOutput.print(copy.description)
    }
}
