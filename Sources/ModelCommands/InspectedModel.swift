// Everything that is known of a model without loading it.

import Foundation
import HostDevice
import ModelFiles
import Platform
import Prompts

/// A model whose files were opened, as far as they can be, and what the host device would refuse of them.
struct InspectedModel {
    /// Its name and its settings.
    let entry: CatalogueEntry
    /// Its files; `nil` if they cannot be opened.
    let bundle: ModelBundle?
    /// The check of its configuration and tensors.
    let check: HostModelCheck?
    /// The kind of its tokenizer.
    let tokenizerKind: String?
    /// The size of its chat template in bytes; `nil` if it has none that can be used.
    let chatTemplateBytes: Int?
    /// What is ignored or not applied.
    let warnings: [String]
    /// Why the host device cannot run it, in the order of loading; none if it can.
    let refusals: [String]
    /// Why it cannot answer chats, though it has a chat template.
    let chatRefusal: String?

    /// Opens and checks the files of `entry`, but does not read the weights.
    init(_ entry: CatalogueEntry) {
        self.entry = entry
        do throws(ModelFileError) {
            let bundle = try ModelBundle(entry)
            self.bundle = bundle
            let check = HostModelCheck(bundle)
            self.check = check
            warnings = bundle.warnings
            var refusals = check.faults.map(\.description)
            if refusals.isEmpty {
                // The model's own settings, whatever the engine's are.
                do throws(ConfigurationError) {
                    _ = try TTPlatform.checkAndUpdateConfig(
                        EngineConfiguration(), model: bundle.config, platform: HostPlatform().traits)
                } catch {
                    refusals.append("\(error)")
                }
            }
            var chatRefusal: String?
            let files = Result { () throws(ModelFileError) in try bundle.tokenizerFiles() }
            tokenizerKind = (try? files.get())?.kind
            var chatTemplateBytes: Int?
            do {
                let encoder = try PromptEncoder(files.get(), bundle.options)
                chatRefusal = encoder.chatRefusal
                chatTemplateBytes = encoder.chatTemplateBytes
            } catch {
                let reason = "\(error)"
                if !refusals.contains(reason) { refusals.append(reason) }
            }
            self.chatTemplateBytes = chatTemplateBytes
            self.refusals = refusals
            self.chatRefusal = chatRefusal
        } catch {
            (bundle, check, tokenizerKind, chatTemplateBytes, chatRefusal) = (nil, nil, nil, nil, nil)
            warnings = []
            refusals = [error.description]
        }
    }

    /// The longest sequence that may be requested of it.
    func longestSequence(_ engine: EngineConfiguration) -> Int? { (bundle?.config).map(engine.longestModelLen) }
}
