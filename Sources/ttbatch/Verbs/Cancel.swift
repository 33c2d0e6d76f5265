// `ttbatch cancel BATCH`: nothing more of it runs; what has finished is kept.

import ArgumentParser
import BatchDaemon
import JobStore

struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancel what has not finished, keeping what has.")

    @OptionGroup var target: BatchArgument
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let configuration = try shared.configuration()
        let id = try target.id(in: try shared.storeForReading())
        let report = try shared.storeForWriting(configuration).cancel(id, at: DaemonClock.system.now)
        StandardError.print("\(id): cancelled \(report.cancelled) jobs, kept \(report.keptFinished) that had ended")
    }
}
