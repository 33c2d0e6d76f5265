// `ttbatch models verify`: whether the files of models are whole, and what loading would refuse.

package import ArgumentParser
import HostDevice
import JSONText
import ModelFiles
import Platform
import QueueCommands
import Settings
import Terminal

package struct ModelsVerify: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read models whole and report what is wrong with them.",
        discussion: """
            The SHA-256 of files of which it is known (those that `models pull` fetches, and those of the hub's cache), and \
            all that loading checks: configuration, shapes and values of the weights, tokenizer, chat template. Exit code 1 \
            if anything is wrong.
            """)

    @Argument(help: ArgumentHelp("The models. (default: all that are known)", valueName: "name|path"))
    package var names: [String] = []

    @Flag(help: "One JSON object for each model.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        let entries = try names.isEmpty ? configuration.catalogue.entries : names.map(configuration.catalogue.resolve)
        if entries.isEmpty {
            return StandardError.print(
                "no models in \(configuration.catalogue.directory); `ttbatch models pull` shows what can be fetched")
        }
        let device = try HostMeshDevice(threads: configuration.engine.threads)
        defer { device.close() }
        var isSound = true
        for entry in entries {
            if StandardError.isTerminal { StandardError.print("reading \(entry.name)") }
            let verified = Self.verify(entry, on: device)
            isSound = isSound && verified.faults.isEmpty
            report(entry, verified)
        }
        if !isSound { throw ExitCode(ExitStatus.operationalError.rawValue) }
    }

    /// What is found out about a model.
    private struct Verified {
        /// The number of files whose SHA-256 is known.
        let digests: Int
        /// Whether these are all files with weights.
        let isPublished: Bool
        let faults: [String]
    }

    private static func verify(_ entry: CatalogueEntry, on device: HostMeshDevice) -> Verified {
        var faults: [String] = []
        func attempt(_ check: () throws -> Void) {
            do { try check() } catch { faults.append("\(error)") }
        }
        let model = InspectedModel(entry)
        let weights = model.bundle?.weights.fileSizes.map(\.path) ?? []
        let digests = FileDigest.known(of: entry, weights: weights, KnownModel.all)
        for digest in digests { attempt { try digest.check() } }
        faults += model.refusals + (model.chatRefusal.map { [$0] } ?? [])
        attempt { faults += try model.check?.valueFaults(on: device).map(\.description) ?? [] }
        let isPublished = !weights.isEmpty && Set(weights).isSubset(of: digests.map(\.path))
        return Verified(digests: digests.count, isPublished: isPublished, faults: faults)
    }

    private func report(_ entry: CatalogueEntry, _ verified: Verified) {
        let faults = verified.faults
        if json {
            return StandardOutput.print([
                "name": .string(entry.name), "path": .string(entry.path), "ok": .bool(faults.isEmpty),
                "digests": .int(Int64(verified.digests)), "problems": .array(faults.map { .string($0) }),
            ])
        }
        let verdict = verified.isPublished ? "ok, SHA-256 as published" : "ok"
        let lines = faults.isEmpty ? [verdict] : faults
        for line in lines { StandardOutput.print(printable("\(entry.name): \(line)")) }
    }
}
