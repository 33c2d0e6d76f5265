// `ttbatch devices`: prints the platforms that were found, and why the others were not.

package import ArgumentParser
import BuiltInPlatforms
import JSONText
import ModelCommands
import Platform
import QueueCommands
import Settings
import Terminal

package struct Devices: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Show the platforms found, why others were not, and this machine's topology.")

    @Flag(help: "One JSON object for each platform.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        let platforms = PlatformCatalogue.all(configuration.bridge)
        let structured = StructuredOutputWords()
        let chosen = try? platforms.choose(configuration.engine).name
        for platform in platforms.platforms {
            let discovery = platform.discover(configuration.engine)
            if json {
                StandardOutput.print(object(platform.name, discovery, isChosen: platform.name == chosen, structured))
            } else {
                printWords(platform.name, discovery, isChosen: platform.name == chosen)
            }
        }
        if !json { StandardOutput.print(structured.line) }
    }

    private func printWords(_ name: String, _ discovery: PlatformDiscovery, isChosen: Bool) {
        if let reason = discovery.reason {
            StandardOutput.print("\(name): not available: \(reason)")
        } else {
            StandardOutput.print("\(name): available" + (isChosen ? " (in use)" : ""))
        }
        for device in discovery.devices {
            StandardOutput.print("  \(device.name): \(device.summary)")
            for detail in device.details { StandardOutput.print("    \(detail)") }
        }
    }

    private func object(
        _ name: String, _ discovery: PlatformDiscovery, isChosen: Bool, _ structured: StructuredOutputWords
    ) -> JSONValue {
        [
            "platform": .string(name), "available": .bool(discovery.reason == nil), "in_use": .bool(isChosen),
            "structured_output": structured.name.map { .string($0) } ?? .null,
            "structured_output_reason": structured.reason.map { .string($0) } ?? .null,
            "reason": discovery.reason.map { .string($0) } ?? .null,
            "devices": .array(
                discovery.devices.map { device in
                    [
                        "name": .string(device.name), "summary": .string(device.summary),
                        "details": .array(device.details.map { .string($0) }),
                    ]
                }),
        ]
    }
}
