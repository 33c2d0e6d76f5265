// Everything that is known of a model without loading it.

import Foundation
import HostDevice
import ModelFiles
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
    /// The size of its chat template in bytes; `nil` if it has none.
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
            var chatRefusal: String?
            let files = try? bundle.tokenizerFiles()
            tokenizerKind = files?.kind
            let template = Self.template(bundle, files)
            chatTemplateBytes = template?.count
            do {
                let encoder = try PromptEncoder(bundle)
                if template != nil || bundle.options.templatePath != nil { chatRefusal = encoder.chatRefusal }
            } catch {
                let reason = "\(error)"
                if !refusals.contains(reason) { refusals.append(reason) }
            }
            self.refusals = refusals
            self.chatRefusal = chatRefusal
        } catch {
            (bundle, check, tokenizerKind, chatTemplateBytes, chatRefusal) = (nil, nil, nil, nil, nil)
            warnings = []
            refusals = [error.description]
        }
    }

    /// The source of the template that is used.
    private static func template(_ bundle: ModelBundle, _ files: TokenizerFiles?) -> [UInt8]? {
        guard let path = bundle.options.templatePath else { return files?.chatTemplate }
        return FileManager.default.contents(atPath: path).map { Array($0) }
    }

    /// The longest sequence that it is run with.
    var longestSequence: Int? {
        bundle.map { min($0.config.maxModelLen ?? $0.config.contextLength, $0.config.contextLength) }
    }
}
