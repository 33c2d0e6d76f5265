// `ttbatch models …`: what models there are, what they need, where they come from, and whether they are whole.

package import ArgumentParser

package struct Models: ParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Show the models known, inspect, fetch and verify them.",
        subcommands: [ModelsList.self, ModelsInspect.self, ModelsPull.self, ModelsVerify.self],
        defaultSubcommand: ModelsList.self)

    package init() {}
}
