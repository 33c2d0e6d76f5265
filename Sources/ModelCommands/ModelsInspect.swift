// `ttbatch models inspect`: what a model is, needs and would do here, without loading it.

package import ArgumentParser
import JSONText
import ModelFiles
import Platform
import QueueCommands
import Settings
package import Terminal

package struct ModelsInspect: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show what a model is, needs and would do on this machine's CPU.",
        discussion: """
            Nothing is loaded. The speeds are estimates from this machine's limits, which are measured in about a second; \
            `ttbatch bench` measures the model itself. Exit code 1 if the host device cannot run it; all reasons are shown.
            """)

    @Argument(help: ArgumentHelp("The model. (default: the configured one)", valueName: "name|path"))
    package var name: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens of the sequences whose memory is shown. (default: 2048, 8192 and the longest)", valueName: "n,n,…"))
    package var lengths: NumberList?

    @Flag(inversion: .prefixedNo, help: "Measure this machine's limits.")
    package var measure = true

    @Flag(help: "One JSON object.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        if name != nil, shared.model != nil { throw ValidationError("--model: the name is given already") }
    }

    package func run() throws {
        let configuration = try shared.configuration()
        let model = InspectedModel(try configuration.catalogue.resolve(name ?? configuration.model))
        let memory = model.check.flatMap {
            InspectedMemory($0, configuration, lengths: lengths(of: model, configuration.engine))
        }
        var speed: InspectedSpeed?
        if measure, let check = model.check, let longest = model.longestSequence(configuration.engine) {
            speed = try InspectedSpeed(check, configuration, longestSequence: longest)
        }
        if json {
            StandardOutput.print(InspectionObject(model: model, memory: memory, speed: speed).json)
        } else {
            let text = InspectionText(model: model, memory: memory, speed: speed)
            for line in text.lines { StandardOutput.print(line) }
        }
        if !model.refusals.isEmpty { throw ExitCode(ExitStatus.operationalError.rawValue) }
    }

    private func lengths(of model: InspectedModel, _ engine: EngineConfiguration) -> [Int] {
        if let lengths { return lengths.numbers }
        guard let longest = model.longestSequence(engine) else { return [] }
        return [2048, 8192].filter { $0 < longest } + [longest]
    }
}
