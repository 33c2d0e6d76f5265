// Finds a model file by the name in requests and configuration.

import Foundation

/// A model that can be run: a name and a file.
public struct CatalogueEntry: Sendable, Hashable {
    /// The name to use in requests.
    public let name: String
    /// The GGUF file.
    public let path: String
}

/// Why a model name does not lead to exactly one file.
public enum ModelLookupError: Error, Equatable, CustomStringConvertible {
    /// Neither a known name nor a file.
    case unknown(name: String, known: [String], directory: String)
    /// The name matches several files.
    case ambiguous(name: String, candidates: [String])
    /// There is no file at the path.
    case noFile(path: String)
    /// Two names of the configuration refer to each other.
    case circular(name: String)
    /// A name of the configuration refers to a name that leads to no file.
    indirect case behind(name: String, ModelLookupError)

    /// One line for people.
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

/// The models with names: those of the configuration, then the files of the models directory.
///
/// A file `SmolLM2-135M-Instruct.Q4_1.gguf` has the names `SmolLM2-135M-Instruct.Q4_1` and, if no other file begins so,
/// `SmolLM2-135M-Instruct`. Names are case-insensitive. A name of the configuration refers to a file or to another
/// name.
public struct ModelCatalogue: Sendable {
    /// The models directory.
    public let directory: String
    /// The configuration's entries, by lower-case name.
    private let named: [String: (name: String, meaning: String)]

    /// Makes a catalogue of the files in `directory`, and of `named`, which maps names to paths or other names.
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

    /// The names of the configuration that refer to other names, sorted.
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

    /// The name or path to which a name finally refers: itself, unless the configuration has it.
    private func meaning(of name: String) throws(ModelLookupError) -> String {
        var meant = name
        var passed: Set<String> = []
        while let next = named[meant.lowercased()], !Self.isPath(next.meaning) {
            guard passed.insert(meant.lowercased()).inserted else { throw .circular(name: next.name) }
            meant = next.meaning
        }
        return meant
    }

    /// The name that a batch stores for a model: the one to which `name` refers. A path is made absolute, since the
    /// daemon has another working directory.
    public func remembered(_ name: String) throws(ModelLookupError) -> String {
        let meant = try meaning(of: name)
        guard named[meant.lowercased()] == nil, Self.isPath(meant) else { return meant }
        return URL(fileURLWithPath: meant).standardizedFileURL.path
    }

    /// The model name in results if the request asked for `name`: the file name of a path without its extension, else
    /// the name.
    public static func shown(_ name: String) -> String {
        let isPath = name.hasSuffix(".gguf") || ["/", "./", "../", "~/"].contains { name.hasPrefix($0) }
        guard isPath, let file = name.split(separator: "/").last else { return name }
        return String(file.hasSuffix(".gguf") ? file.dropLast(5) : file)
    }

    private static func isPath(_ name: String) -> Bool {
        name.contains("/") || name.hasSuffix(".gguf")
    }
}
