// `ttbatch daemon`: runs the jobs of the queue until it is stopped.

package import ArgumentParser
import BatchDaemon
import BuiltInPlatforms
import Glibc
import HTTPExchange
import Logging
import QueueCommands
import Runtime
import Server
import Settings
import StoreContract

package struct Daemon: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Poll the job table and work, until stopped.",
        discussion: """
            SIGTERM or Ctrl-C takes no more jobs and lets running ones end for daemon.grace_s seconds; a second one puts \
            them back into the queue at once, and a third one ends the process even if the device hangs in a step.
            """)

    @Flag(help: "End when the queue is empty.")
    var drain = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        let store = try shared.storeForDaemon(configuration)
        let stop = StopSignal()
        let log = DaemonLog.make()
        let graceMS = configuration.daemon.graceMS
        // Before the server: a second daemon by mistake must not touch the uploads and submissions of the first one.
        let lease = try store.acquireLease()
        defer { lease.release() }
        // The server has connections of its own, so that the daemon notices what callers write as if it came from other
        // processes.
        let served = try configuration.server.listen.map {
            ServedQueue(
                configuration, at: $0, store: try shared.storeForServer(configuration), log: log,
                refreshMetrics: QueueMetrics(store, log: log).refresh)
        }
        let server = try served.map { try HTTPServer($0) }
        let signals = StopOnSignals(stop) { level in
            // Who waits for an answer gets it; nobody new does.
            server?.beginStop()
            if level == .immediate { server?.endAnswers() }
            let running = (try? store.systemStatus().runningJobs) ?? 0
            let words = level.words(inFlight: running, running: nil, graceMS: graceMS, again: "signal again")
            log.info("\(words)")
        }
        defer {
            server?.beginStop()
            server?.waitForEnd()
        }
        try DaemonService(
            store: store, configuration: configuration, platforms: .all(configuration.bridge), drains: drain,
            stop: stop, log: log, live: served?.live
        ).run(lease)
        signals.restore()
    }
}
