// `ttbatch enqueue FILE…`: validate, store, print the batch id.

package import ArgumentParser
import Foundation
import Intake
import QueuePlaces
import StoreContract
import Terminal

package struct Enqueue: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Validate prompt files and store them for the daemon; prints a batch id for each.",
        discussion:
            "A file is stored as a whole or not at all. When its id has been printed, a power cut does not lose it.")

    @OptionGroup var input: EnqueueOptions

    @Flag(name: .shortAndLong, help: "Do not remark that no daemon is running.")
    package var quiet = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let queue: any JobReading
        let files: [EnqueuedFile]
        if let server = try shared.queueServer() {
            queue = server.jobs()
            files = try input.enqueue(
                at: server, model: shared.model ?? ProcessInfo.processInfo.environment["TTBATCH_MODEL"])
        } else {
            let configuration = try shared.configuration()
            let store = try shared.storeForWriting(configuration)
            queue = store
            files = try input.enqueue(into: store, configuration, shared)
        }
        for file in files { StandardOutput.acknowledge(file.batch.description, "enqueue") }
        if !quiet, try queue.daemonPresence() == .absent {
            StandardError.print("no daemon is running: `ttbatch daemon` works the queue off")
        }
    }
}
