// Writes small Hugging Face folders, good and bad.

import Foundation
import JSONText
import ModelFileBuilders
import TestSupport

/// A folder of a model in the making: a `config.json` and the tensors' names with their shapes, outermost first.
struct FolderBuilder {
    var config: [String: JSONValue]
    var tensors: [(name: String, shape: [Int])]
    var files: [String: String] = [:]

    /// A tiny llama: 8 wide, 2 layers, 16 tokens.
    static var llama: FolderBuilder {
        let config: [String: JSONValue] = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 16,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "torch_dtype": "bfloat16",
            "tie_word_embeddings": false,
        ]
        return FolderBuilder(config: config, tensors: SafetensorsBuilder.llamaTensors)
    }

    /// The same sizes as another class.
    static func model(_ modelType: String, _ architecture: String, _ others: [String: JSONValue] = [:]) -> FolderBuilder
    {
        var folder = llama
        folder.config["model_type"] = .string(modelType)
        folder.config["architectures"] = [.string(architecture)]
        folder.config.merge(others) { $1 }
        return folder
    }

    /// Writes everything, the weights into one file.
    func write(to folder: TemporaryFolder, _ name: String = "model") throws -> String {
        var weights = SafetensorsBuilder()
        for (name, shape) in tensors { weights.add(name, "BF16", shape, bytesEach: 2) }
        try folder.write(name + "/model.safetensors", weights.build())
        return try writeWithoutWeights(to: folder, name)
    }

    func writeWithoutWeights(to folder: TemporaryFolder, _ name: String = "model") throws -> String {
        try folder.write(name + "/config.json", Self.json(config))
        for (file, text) in files { try folder.write(name + "/" + file, text) }
        return folder.file(name)
    }

    static func json(_ members: [String: JSONValue]) -> [UInt8] {
        var bytes: [UInt8] = []
        JSONValue.object(members.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) }).encode(into: &bytes)
        return bytes
    }
}
