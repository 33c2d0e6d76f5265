// A model in a GGUF file, or in several that one was split into.

/// The model of a GGUF file. Its metadata is that of the first part.
///
/// Source: llama.cpp, `tools/gguf-split` and `llama-model-loader.cpp`.
struct GGUFModel: Sendable {
    /// The metadata.
    let metadata: GGUFMetadata
    /// The tensors by their usual names.
    let weights: ModelWeights

    /// Opens the file at `path`, and all other parts if it is one of several.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    init(path: String) throws(ModelFileError) {
        let parts = try Self.parts(of: GGUFFile(path: path))
        metadata = parts[0].metadata
        let architecture = try metadata.requiredString("general.architecture")
        weights = ModelWeights(
            path: parts[0].path,
            tensors: try Self.usualNames(Self.tensors(of: parts), ModelFamily.named(architecture)),
            files: parts.map(\.file))
    }

    /// The keys of the model's architecture.
    func keys() throws(ModelFileError) -> ModelKeys {
        let architecture = try metadata.requiredString("general.architecture")
        let prefix = architecture + "."
        var values: [String: MetadataValue] = [:]
        for (key, value) in metadata.values where key.hasPrefix(prefix) {
            values[String(key.dropFirst(prefix.count))] = value
        }
        return ModelKeys(
            path: metadata.path, container: .gguf, architecture: architecture, values: values, weights: weights,
            spelling: { prefix + $0 })
    }

    /// All parts of the model of which `file` is one.
    private static func parts(of file: GGUFFile) throws(ModelFileError) -> [GGUFFile] {
        guard let count = file.metadata.integer("split.count"), count > 1 else { return [file] }
        guard let name = SplitName(file.path), name.count == count else {
            throw .contradiction(
                path: file.path,
                what: "it is one of \(count) parts (split.count), but is not called …-0000N-of-\(count).gguf")
        }
        var parts: [GGUFFile] = []
        for index in 0..<count {
            let path = name.path(ofPart: index)
            let part = index == name.index ? file : try GGUFFile(partAt: path, neededBy: file.path)
            let (number, total) = (part.metadata.integer("split.no"), part.metadata.integer("split.count"))
            guard number == index, total == count else {
                throw .contradiction(
                    path: path,
                    what: "by its name it is part \(index + 1) of \(count), but split.no is "
                        + "\(number.map(String.init) ?? "missing") and split.count \(total.map(String.init) ?? "missing")"
                )
            }
            parts.append(part)
        }
        return parts
    }

    /// The tensors of all parts by their names in the files.
    private static func tensors(of parts: [GGUFFile]) throws(ModelFileError) -> [String: MappedTensor] {
        guard parts.count > 1 else { return parts[0].tensors }
        var tensors: [String: MappedTensor] = [:]
        for part in parts {
            for (name, tensor) in part.tensors where tensors.updateValue(tensor, forKey: name) != nil {
                throw .contradiction(path: part.path, what: "tensor \(name) is in another part too")
            }
        }
        let expected = try parts[0].metadata.requiredInteger("split.tensors.count")
        guard tensors.count == expected else {
            throw .contradiction(
                path: parts[0].path,
                what: "split.tensors.count is \(expected), but the \(parts.count) parts have \(tensors.count) tensors")
        }
        return tensors
    }

    private static func usualNames(
        _ tensors: [String: MappedTensor], _ family: ModelFamily?
    ) throws(ModelFileError) -> [String: MappedTensor] {
        guard let renamed = family?.renamed, !renamed.isEmpty else { return tensors }
        let usual = Dictionary(uniqueKeysWithValues: renamed.map { ($0.value, $0.key) })
        var named: [String: MappedTensor] = [:]
        for (name, tensor) in tensors {
            var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            if parts.count == 4, let name = usual[parts[2]] { parts[2] = name }
            if let other = named.updateValue(tensor, forKey: parts.joined(separator: ".")) {
                let names = [other.name, tensor.name].sorted()
                throw .contradiction(path: tensor.path, what: "tensors \(names[0]) and \(names[1]) are the same weight")
            }
        }
        return named
    }
}

extension GGUFFile {
    /// Opens another part of the model of the file at `path`.
    fileprivate convenience init(partAt part: String, neededBy path: String) throws(ModelFileError) {
        guard MappedFile.exists(part) else { throw .missingFile(path: part, neededBy: path) }
        try self.init(path: part)
    }
}
