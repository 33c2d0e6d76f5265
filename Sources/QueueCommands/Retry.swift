// `ttbatch retry BATCH`: enqueues a new batch with the jobs that did not succeed.

package import ArgumentParser
import Runtime
package import StoreContract
import Terminal

/// Which jobs are run again.
package enum RetriedState: String, CaseIterable, ExpressibleByArgument {
    case failed, expired, cancelled

    package var state: JobState {
        switch self {
        case .failed: .failed
        case .expired: .expired
        case .cancelled: .cancelled
        }
    }
}

package struct Retry: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Run the failed and expired jobs of a finished batch again; prints the new batch's id.",
        discussion: """
            A finished job never changes, so they are copied into a new batch with the same custom_ids and priority. Lines \
            that were invalid at enqueue are left out: they would be invalid again.
            """)

    @OptionGroup var target: BatchArgument

    @Option(parsing: .unconditionalSingleValue, help: "Which jobs; can be repeated. Default: failed and expired.")
    package var state: [RetriedState] = []
    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let queue = try shared.queueForActing()
        let id = try target.id(in: queue)
        let states = Set((state.isEmpty ? [.failed, .expired] : state).map(\.state))
        let copy = try queue.retry(id, states: states, at: TimeSource.system.now)
        StandardOutput.print(copy.description)
    }
}
