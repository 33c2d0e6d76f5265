// The model that a GGUF file contains: its keys and tensors by the usual names.

extension GGUFFile {
    /// The tensors, by their usual names.
    ///
    /// - Throws: `ModelFileError` if the file's architecture is missing.
    func weights() throws(ModelFileError) -> ModelWeights {
        let architecture = try metadata.requiredString("general.architecture")
        let renamed = ModelFamily.named(architecture)?.renamed ?? [:]
        guard !renamed.isEmpty else { return ModelWeights(path: path, tensors: tensors, files: [file]) }
        let usual = Dictionary(uniqueKeysWithValues: renamed.map { ($0.value, $0.key) })
        var named: [String: MappedTensor] = [:]
        for (name, tensor) in tensors {
            var parts = name.split(separator: ".").map(String.init)
            if parts.count == 4, let name = usual[parts[2]] { parts[2] = name }
            named[parts.joined(separator: ".")] = tensor
        }
        return ModelWeights(path: path, tensors: named, files: [file])
    }
}

extension GGUFMetadata {
    /// The keys of the file's architecture.
    func modelKeys(_ weights: ModelWeights) throws(ModelFileError) -> ModelKeys {
        let architecture = try requiredString("general.architecture")
        let prefix = architecture + "."
        var values: [String: GGUFValue] = [:]
        for (key, value) in self.values where key.hasPrefix(prefix) {
            values[String(key.dropFirst(prefix.count))] = value
        }
        return ModelKeys(
            path: path, container: .gguf, architecture: architecture, values: values, weights: weights,
            spelling: { prefix + $0 })
    }
}
