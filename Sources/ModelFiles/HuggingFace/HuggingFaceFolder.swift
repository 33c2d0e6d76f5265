// A model in a Hugging Face folder: configuration, weights, and files for the tokenizer.

import Foundation

/// A folder with a `config.json`.
struct HuggingFaceFolder: Sendable {
    /// The folder.
    let path: String
    /// The configuration.
    let config: HuggingFaceConfig
    /// The tensors by their usual names.
    let weights: ModelWeights

    /// Whether the folder `path` holds a configuration and weights.
    static func holdsModel(_ path: String) -> Bool {
        MappedFile.exists(path + "/config.json") && SafetensorsShards.exist(in: path)
    }

    /// Opens the configuration and the headers of the weights, if there are some: other devices read other files.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    init(path: String) throws(ModelFileError) {
        guard MappedFile.exists(path + "/config.json") else {
            throw .noModel(path: path, reason: Self.withoutConfig(path))
        }
        self.path = path
        config = try HuggingFaceConfig(folder: path)
        weights = try Self.weights(path, config)
    }

    /// What the model computes, as far as the configuration says it.
    ///
    /// - Throws: `ModelFileError` for what is not supported.
    func keys(warnings: inout [String]) throws(ModelFileError) -> ModelKeys {
        guard !weights.tensors.isEmpty || !weights.others.isEmpty else {
            throw .noModel(path: path, reason: Self.withoutWeights(path))
        }
        let keys = try config.keys(weights, warnings: &warnings)
        guard try config.tiesEmbeddings() || weights["output.weight"] != nil else {
            throw .missingTensor(path: path, name: "lm_head.weight (tie_word_embeddings is false)")
        }
        return keys
    }

    private static func weights(_ path: String, _ config: HuggingFaceConfig) throws(ModelFileError) -> ModelWeights {
        let shards = try SafetensorsShards(folder: path)
        let names = config.tensorNames
        var tensors: [String: MappedTensor] = [:]
        var others: [ModelWeights.OtherTensor] = []
        for shard in shards.files {
            for tensor in shard.tensors {
                let mapped = shard.mapped(tensor)
                switch names?.meaning(of: tensor.name) ?? .unknown {
                case .ignored: break
                case .weight(let name):
                    guard let mapped else { fallthrough }
                    if let other = tensors.updateValue(mapped, forKey: name) {
                        throw .contradiction(
                            path: path, what: "tensors \(other.name) and \(tensor.name) are the same weight")
                    }
                case .unknown:
                    others.append(
                        ModelWeights.OtherTensor(
                            path: shard.file.path, name: tensor.name, type: tensor.type.rawValue,
                            isReadable: mapped != nil, rank: tensor.shape.count,
                            elementCount: tensor.shape.reduce(1, *), byteCount: tensor.range.count))
                }
            }
        }
        return ModelWeights(path: path, tensors: tensors, others: others, files: shards.files.map(\.file))
    }

    private static func withoutConfig(_ path: String) -> String {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let models = files.filter { $0.hasSuffix(".gguf") }.sorted()
        guard let first = models.first else {
            return "no config.json; give a folder as models are published in, or a GGUF file"
        }
        return "no config.json, but \(models.count) GGUF files; give the path of one, as \(path)/\(first)"
    }

    private static func withoutWeights(_ path: String) -> String {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let others = files.filter { file in [".bin", ".pth", ".pt", ".gguf", ".npz"].contains(where: file.hasSuffix) }
        let found = others.min().map { ", only \($0)" } ?? ""
        return "no model.safetensors and no model.safetensors.index.json\(found); fetch the weights in this format, or "
            + "convert them with transformers' save_pretrained"
    }
}
