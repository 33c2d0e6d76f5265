// `ttbatch models list`: prints the models with names, and their properties.

package import ArgumentParser
import JSONText
import ModelFiles
import QueueCommands
import Settings
import Terminal

package struct ModelsList: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the models known and their facts.")

    @Flag(help: "One JSON object for each model.")
    package var json = false

    @OptionGroup var shared: SharedOptions

    package init() {}

    package func run() throws {
        let configuration = try shared.configuration()
        let catalogue = configuration.catalogue
        let standard = try? catalogue.resolve(configuration.model)
        var entries = catalogue.entries
        // A configured model that is a path is shown as well, unless it is one of these.
        let shown = standard.map { standard in
            entries.first { $0 == standard } ?? entries.first { $0.isSameModel(as: standard) } ?? standard
        }
        if let shown, !entries.contains(shown) { entries.append(shown) }
        let aliases = names(catalogue)
        for entry in entries {
            let facts = Result { try ModelBundle(entry).config }
            if json {
                StandardOutput.print(object(entry, aliases[entry], facts, isDefault: entry == shown))
            } else {
                printWords(entry, aliases[entry], facts, isDefault: entry == shown)
            }
        }
        if entries.isEmpty {
            StandardError.print("no models in \(catalogue.directory); `ttbatch models pull` shows what can be fetched")
        } else if standard == nil {
            StandardError.print("the configured model \"\(configuration.model)\" is none of these")
        }
    }

    /// The configuration's aliases by the model to which they lead. An alias without one is reported.
    private func names(_ catalogue: ModelCatalogue) -> [CatalogueEntry: [String]] {
        var names: [CatalogueEntry: [String]] = [:]
        for alias in catalogue.aliases {
            do throws(ModelLookupError) {
                names[try catalogue.resolve(alias), default: []].append(alias)
            } catch {
                StandardError.print("\(error)")
            }
        }
        return names
    }

    private func printWords(
        _ entry: CatalogueEntry, _ aliases: [String]?, _ facts: Result<ModelConfig, any Error>, isDefault: Bool
    ) {
        StandardOutput.print(entry.name + (isDefault ? " (default)" : ""))
        var pairs = [("  file", entry.path)]
        if let aliases { pairs.append(("  also called", aliases.joined(separator: ", "))) }
        if !entry.options.settings.isEmpty {
            pairs.append(("  settings", entry.options.settings.map { "\($0.key) \($0.text)" }.joined(separator: ", ")))
        }
        switch facts {
        case .failure(let error): pairs.append(("  unusable", "\(error)"))
        case .success(let config):
            pairs += [
                ("  architecture", config.architectures.joined(separator: ", ")),
                ("  weights", "\(Quantity.count(config.parameterCount)), mostly \(config.weightType)"),
                ("  context", "\(config.contextLength) tokens"),
                (
                    "  shape",
                    "\(config.layerCount) layers of \(config.hiddenSize), \(config.attentionHeadCount) heads "
                        + "(\(config.keyValueHeadCount) key/value), feed-forward \(config.intermediateSize), "
                        + "vocabulary \(config.vocabularySize)"
                ),
            ]
        }
        for line in definitionLines(pairs) { StandardOutput.print(line) }
    }

    private func object(
        _ entry: CatalogueEntry, _ aliases: [String]?, _ facts: Result<ModelConfig, any Error>, isDefault: Bool
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("name", .string(entry.name)), .init("path", .string(entry.path)), .init("default", .bool(isDefault)),
            .init("also_called", .array((aliases ?? []).map { .string($0) })),
            .init("settings", entry.options.json),
        ]
        switch facts {
        case .failure(let error): members.append(.init("error", .string("\(error)")))
        case .success(let config):
            members += [
                .init("architectures", .array(config.architectures.map { .string($0) })),
                .init("parameters", .int(Int64(config.parameterCount))),
                .init("weight_type", .string(config.weightType)),
                .init("context_length", .int(Int64(config.contextLength))),
                .init("layers", .int(Int64(config.layerCount))),
                .init("hidden_size", .int(Int64(config.hiddenSize))),
                .init("vocabulary_size", .int(Int64(config.vocabularySize))),
            ]
        }
        return .object(members)
    }
}
