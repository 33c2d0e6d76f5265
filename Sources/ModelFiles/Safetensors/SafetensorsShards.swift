// The weights of a Hugging Face folder: one safetensors file, or several with an index.

private import JSONText

/// The safetensors files of a folder.
struct SafetensorsShards: Sendable {
    /// The files, in the order of their names.
    let files: [SafetensorsFile]

    private static let single = "model.safetensors"
    private static let index = "model.safetensors.index.json"

    /// Whether `folder` holds weights that can be read.
    static func exist(in folder: String) -> Bool {
        [single, index].contains { MappedFile.exists(folder + "/" + $0) }
    }

    /// Opens `model.safetensors`, or the files that `model.safetensors.index.json` names; none, if there is neither.
    ///
    /// - Throws: `ModelFileError` naming the file, the place and what is wrong.
    init(folder: String) throws(ModelFileError) {
        if MappedFile.exists(folder + "/" + Self.single) {
            files = [try SafetensorsFile(path: folder + "/" + Self.single)]
            return
        }
        let index = folder + "/" + Self.index
        guard MappedFile.exists(index) else {
            files = []
            return
        }
        let places = try Self.places(index)
        var files: [SafetensorsFile] = []
        for name in Set(places.values).sorted() {
            let path = folder + "/" + name
            guard MappedFile.exists(path) else { throw .missingFile(path: path, neededBy: index) }
            files.append(try SafetensorsFile(path: path))
        }
        self.files = files
        try check(places, index: index)
    }

    /// Each tensor's file by the index.
    private static func places(_ index: String) throws(ModelFileError) -> [String: String] {
        let keys = try ConfigKeys(fileAt: index)
        guard let map = try keys.object("weight_map") else {
            throw .missingKey(path: index, key: "weight_map", expected: "an object of tensors and files")
        }
        var places: [String: String] = [:]
        for name in map.names {
            guard let file = try map.string(name) else { continue }
            // A name and no path, so that an index leads to no file outside its folder.
            guard file.hasSuffix(".safetensors"), !file.contains("/") else {
                throw map.wrongValue(name, Excerpt.quoted(file), "the name of a safetensors file in the same folder")
            }
            places[name] = file
        }
        return places
    }

    /// Throws unless each tensor is in the file that the index names, and in no other.
    private func check(_ places: [String: String], index: String) throws(ModelFileError) {
        var missing = Set(places.keys)
        for shard in files {
            let file = shard.file.path.split(separator: "/").last.map(String.init) ?? ""
            for tensor in shard.tensors {
                guard let place = places[tensor.name] else { continue }
                guard place == file else {
                    throw .contradiction(
                        path: index,
                        what: "tensor \(Excerpt.quoted(tensor.name)) should be in \(place), but is in \(file)")
                }
                missing.remove(tensor.name)
            }
        }
        if let name = missing.min() {
            throw .contradiction(
                path: index,
                what: "tensor \(Excerpt.quoted(name)) should be in \(places[name]!), which does not contain it")
        }
    }
}
