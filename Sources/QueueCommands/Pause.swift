// `ttbatch pause [BATCH]` and `ttbatch resume [BATCH]`: stop and resume the claims of a batch or of the whole queue.

package import ArgumentParser
import Glibc
import Runtime
package import StoreContract
import Terminal

/// The batch to pause or resume; none means the whole queue.
package struct OptionalBatchArgument: ParsableArguments {
    @Argument(help: "A batch: its id, e.g. batch_17 or 17, or its unique name; without it, the whole queue.")
    package var batch: BatchReference?

    package init() {}

    /// The id of the batch, which exists; nil for the whole queue.
    package func id(in store: any JobReading) throws -> BatchID? { try batch?.id(in: store) }
}

package struct Pause: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Begin no more prompts of a batch, or of any, until `resume`.",
        discussion: """
            Prompts that run end and are kept. A pause outlasts the daemon; deadlines hold all the same. With --wait, the verb \
            returns when nothing runs any more, for example before maintenance.
            """)

    @OptionGroup var target: OptionalBatchArgument

    @Flag(help: "Return when the running prompts have ended.")
    package var wait = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.queueForActing()
        let id = try target.id(in: store)
        try store.pause(id, at: TimeSource.system.now)
        func running() throws -> Int64 {
            if let id { return try store.batch(id).counts.running }
            return try store.systemStatus().runningJobs
        }
        // A daemon that died has left its prompts in the state running. The next daemon releases them when it starts.
        while wait, try running() > 0, try store.daemonPresence() != .absent {
            usleep(UInt32(store.pollSeconds * 1_000_000))
        }
        let count = try running()
        StandardError.print(
            "\(id?.description ?? "the queue") is paused" + (count > 0 ? "; \(count) prompts still run" : ""))
    }
}

package struct Resume: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "End a pause of a batch, or of the whole queue.",
        discussion: "Batches that were paused by themselves stay so when the queue is resumed.")

    @OptionGroup var target: OptionalBatchArgument
    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let store = try shared.queueForActing()
        let id = try target.id(in: store)
        try store.resume(id)
        if id != nil, try store.pausedSince() != nil {
            StandardError.print("the queue as a whole is paused: `ttbatch resume` lets it go on")
        }
    }
}
