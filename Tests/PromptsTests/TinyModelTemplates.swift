// The tiny model with other chat templates.

import FakeModel

@testable import ModelFiles
@testable import Prompts

extension TinyModel {
    /// The model's metadata with another chat template, or none.
    static func metadata(template: String?) -> GGUFMetadata {
        var values = metadata.values
        values["tokenizer.chat_template"] = template.map { .string(Array($0.utf8)) }
        return GGUFMetadata(path: "m.gguf", values: values)
    }

    /// A chat template as if the model had it.
    static func template(_ source: String) -> ChatTemplateState {
        ChatTemplateState(.gguf(metadata(template: source)), tokenizer)
    }
}
