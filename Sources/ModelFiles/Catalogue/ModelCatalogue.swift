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
    /// A name of the configuration stands for another one, and that for the first again.
    case circular(name: String)
    /// A name of the configuration stands for one that leads to no file.
    indirect case behind(name: String, ModelLookupError)

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
        case .circular(let name):
            "models.\(name) in the configuration leads back to itself; give it a file, or the name of one"
        case .behind(let name, let reason):
            "models.\(name) in the configuration: \(reason)"
        }
    }
}

/// The models that are known by name: those of the configuration, then the files of the models directory.
///
/// A file `SmolLM2-135M-Instruct.Q4_1.gguf` has the names `SmolLM2-135M-Instruct.Q4_1` and, if no other file begins so,
/// `SmolLM2-135M-Instruct`; capitals do not matter. A name of the configuration stands for a file, or for another name.
public struct ModelCatalogue: Sendable {
    /// Where files are looked for.
    public let directory: String
    /// By names without capitals.
    private let named: [String: (name: String, meaning: String)]

    /// A catalogue of the files in `directory`, and of `named` paths and names.
    public init(directory: String, named: [String: String]) {
        self.directory = directory
        self.named = Dictionary(
            named.map { ($0.key.lowercased(), (name: $0.key, meaning: $0.value)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Every known model with its file, sorted by name.
    public var entries: [CatalogueEntry] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let found = files.filter { $0.hasSuffix(".gguf") }.map {
            CatalogueEntry(name: String($0.dropLast(5)), path: directory + "/" + $0)
        }
        let configured = named.values.filter { Self.isPath($0.meaning) }
            .map { CatalogueEntry(name: $0.name, path: $0.meaning) }
        return (configured + found).sorted { $0.name < $1.name }
    }

    /// The names of the configuration that stand for other names, sorted.
    public var aliases: [String] { named.values.filter { !Self.isPath($0.meaning) }.map(\.name).sorted() }

    /// The model called `name`, or at the path `name` if that contains a slash or ends in `.gguf`.
    ///
    /// - Throws: `ModelLookupError`.
    public func resolve(_ name: String) throws(ModelLookupError) -> CatalogueEntry {
        let meant = try meaning(of: name)
        do throws(ModelLookupError) {
            return try entry(meant)
        } catch {
            throw meant == name ? error : .behind(name: name, error)
        }
    }

    private func entry(_ name: String) throws(ModelLookupError) -> CatalogueEntry {
        let wanted = name.lowercased()
        if named[wanted] == nil, Self.isPath(name) {
            guard FileManager.default.fileExists(atPath: name) else { throw .noFile(path: name) }
            return CatalogueEntry(name: name, path: name)
        }
        let entries = entries
        let exact = entries.filter { $0.name.lowercased() == wanted }
        let candidates = exact.isEmpty ? entries.filter { $0.name.lowercased().hasPrefix(wanted + ".") } : exact
        switch candidates.count {
        case 1: return candidates[0]
        case 0: throw .unknown(name: name, known: entries.map(\.name), directory: directory)
        default: throw .ambiguous(name: name, candidates: candidates.map(\.name))
        }
    }

    /// What a name stands for in the end: itself, unless the configuration says otherwise.
    private func meaning(of name: String) throws(ModelLookupError) -> String {
        var meant = name
        var passed: Set<String> = []
        while let next = named[meant.lowercased()], !Self.isPath(next.meaning) {
            guard passed.insert(meant.lowercased()).inserted else { throw .circular(name: next.name) }
            meant = next.meaning
        }
        return meant
    }

    /// The name under which a batch remembers a model: what it stands for; a path is made absolute, since the daemon runs
    /// elsewhere.
    public func remembered(_ name: String) throws(ModelLookupError) -> String {
        let meant = try meaning(of: name)
        guard named[meant.lowercased()] == nil, Self.isPath(meant) else { return meant }
        return URL(fileURLWithPath: meant).standardizedFileURL.path
    }

    /// What results call a model that was asked for as `name`: a path's file name without its ending, else the name.
    public static func shown(_ name: String) -> String {
        let isPath = name.hasSuffix(".gguf") || ["/", "./", "../", "~/"].contains { name.hasPrefix($0) }
        guard isPath, let file = name.split(separator: "/").last else { return name }
        return String(file.hasSuffix(".gguf") ? file.dropLast(5) : file)
    }

    private static func isPath(_ name: String) -> Bool {
        name.contains("/") || name.hasSuffix(".gguf")
    }
}
