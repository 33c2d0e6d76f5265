// Finds a model file by the name that requests and configuration give.

import Foundation

/// A model that could be run: a name and a file.
public struct CatalogueEntry: Sendable, Hashable {
    /// The name for requests.
    public let name: String
    /// The GGUF file.
    public let path: String
}

/// A model name that leads to no file, or to several.
public enum ModelLookupError: Error, Equatable, CustomStringConvertible {
    /// Neither a known name nor a file.
    case unknown(name: String, known: [String], directory: String)
    /// The name fits several files.
    case ambiguous(name: String, candidates: [String])
    /// A path that is not there.
    case noFile(path: String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .unknown(let name, let known, let directory):
            "model \"\(name)\" is not known; "
                + (known.isEmpty
                    ? "there is no model in \(directory): etc/fetch-model fetches the small one"
                    : "known: \(known.joined(separator: ", ")); or give the path of a GGUF file")
        case .ambiguous(let name, let candidates):
            "model \"\(name)\" fits several files: \(candidates.joined(separator: ", ")); give one of these names"
        case .noFile(let path):
            "model file \(path) does not exist"
        }
    }
}

/// The models that are known by name: those of the configuration, then the files of the models directory.
///
/// A file `SmolLM2-135M-Instruct.Q4_1.gguf` has the names `SmolLM2-135M-Instruct.Q4_1` and, if no other file begins so,
/// `SmolLM2-135M-Instruct`; capitals do not matter.
public struct ModelCatalogue: Sendable {
    /// Where files are looked for.
    public let directory: String
    private let named: [String: String]

    /// A catalogue of the files in `directory` and of the `named` paths.
    public init(directory: String, named: [String: String]) {
        self.directory = directory
        self.named = named
    }

    /// Every known model, sorted by name.
    public var entries: [CatalogueEntry] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let found = files.filter { $0.hasSuffix(".gguf") }.map {
            CatalogueEntry(name: String($0.dropLast(5)), path: directory + "/" + $0)
        }
        let configured = named.map { CatalogueEntry(name: $0.key, path: $0.value) }
        return (configured + found).sorted { $0.name < $1.name }
    }

    /// The model called `name`, or at the path `name` if that contains a slash or ends in `.gguf`.
    ///
    /// - Throws: `ModelLookupError`.
    public func resolve(_ name: String) throws(ModelLookupError) -> CatalogueEntry {
        if Self.isPath(name) {
            guard FileManager.default.fileExists(atPath: name) else { throw .noFile(path: name) }
            return CatalogueEntry(name: name, path: name)
        }
        let wanted = name.lowercased()
        let entries = entries
        let exact = entries.filter { $0.name.lowercased() == wanted }
        let candidates = exact.isEmpty ? entries.filter { $0.name.lowercased().hasPrefix(wanted + ".") } : exact
        switch candidates.count {
        case 1: return candidates[0]
        case 0: throw .unknown(name: name, known: entries.map(\.name), directory: directory)
        default: throw .ambiguous(name: name, candidates: candidates.map(\.name))
        }
    }

    /// The name under which a batch remembers a model: a path is made absolute, since the daemon runs elsewhere.
    public static func remembered(_ name: String) -> String {
        guard isPath(name) else { return name }
        return URL(fileURLWithPath: name).standardizedFileURL.path
    }

    private static func isPath(_ name: String) -> Bool {
        name.contains("/") || name.hasSuffix(".gguf")
    }
}
