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
            let (digests, faults) = Self.verify(entry, on: device)
            isSound = isSound && faults.isEmpty
            report(entry, digests: digests, faults)
        }
        if !isSound { throw ExitCode(ExitStatus.operationalError.rawValue) }
    }

    /// The number of files whose SHA-256 is known, and what is wrong with the model.
    private static func verify(_ entry: CatalogueEntry, on device: HostMeshDevice) -> (digests: Int, faults: [String]) {
        var faults: [String] = []
        func attempt(_ check: () throws -> Void) {
            do { try check() } catch { faults.append("\(error)") }
        }
        let digests = FileDigest.known(of: entry, KnownModel.all)
        for digest in digests { attempt { try digest.check() } }
        let model = InspectedModel(entry)
        faults += model.refusals + (model.chatRefusal.map { [$0] } ?? [])
        attempt { faults += try model.check?.valueFaults(on: device).map(\.description) ?? [] }
        return (digests.count, faults)
    }

    private func report(_ entry: CatalogueEntry, digests: Int, _ faults: [String]) {
        if json {
            return StandardOutput.print([
                "name": .string(entry.name), "path": .string(entry.path), "ok": .bool(faults.isEmpty),
                "digests": .int(Int64(digests)), "problems": .array(faults.map { .string($0) }),
            ])
        }
        let verdict = digests == 0 ? "ok" : "ok, SHA-256 as published"
        let lines = faults.isEmpty ? [verdict] : faults
        for line in lines { StandardOutput.print(printable("\(entry.name): \(line)")) }
    }
}
