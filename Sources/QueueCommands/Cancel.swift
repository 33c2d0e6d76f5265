// `ttbatch cancel BATCH`: ends a batch; the results so far are kept.

package import ArgumentParser
import Runtime
import StoreContract
import Terminal

package struct Cancel: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Cancel what has not finished, keeping what has.")

    @OptionGroup var target: BatchArgument
    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let queue = try shared.queueForActing()
        let id = try target.id(in: queue)
        let report = try queue.cancel(id, at: TimeSource.system.now)
        StandardError.print("\(id): cancelled \(report.cancelled) jobs, kept \(report.keptFinished) that had ended")
    }
}
