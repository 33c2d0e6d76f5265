// Finds a model's files by the name in requests and configuration.

import Foundation

/// A model that can be run: a name, a file or folder, and what the configuration says of it.
public struct CatalogueEntry: Sendable, Hashable {
    /// The name to use in requests.
    public let name: String
    /// The GGUF file, the first one of several, or the Hugging Face folder.
    public let path: String
    /// The model's settings.
    public let options: ModelOptions

    /// An entry, by default without settings of its own.
    public init(name: String, path: String, options: ModelOptions = ModelOptions()) {
        self.name = name
        self.path = path
        self.options = options
    }

    /// Whether another entry is the same model under another name: the same files with the same settings.
    public func isSameModel(as other: CatalogueEntry) -> Bool { path == other.path && options == other.options }
}

/// A name of the configuration.
public struct NamedModel: Sendable {
    /// A path, a name of the hub, or another name.
    public var meaning: String
    /// The model's settings; `nil` for a mere name.
    public var options: ModelOptions?

    /// A name for a path or another name; with options, a model of its own.
    public init(_ meaning: String, options: ModelOptions? = nil) {
        self.meaning = meaning
        self.options = options
    }

    /// Whether it is only another name of a model.
    fileprivate var isAlias: Bool { options == nil && !ModelCatalogue.isPath(meaning) }
}

/// Why a model name does not lead to exactly one file.
public enum ModelLookupError: Error, Equatable, CustomStringConvertible {
    /// Neither a known name nor a file.
    case unknown(name: String, known: [String], directory: String)
    /// The name matches several files.
    case ambiguous(name: String, candidates: [String])
    /// There is no file or folder at the path.
    case noFile(path: String)
    /// A name of the Hugging Face hub, of whose cache `cache` no model has it.
    case notInHubCache(name: String, cache: String)
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
                    ? "there is no model in \(directory): `ttbatch models pull` shows what can be fetched"
                    : "known: \(known.joined(separator: ", ")); or give the path of a GGUF file or Hugging Face folder")
        case .ambiguous(let name, let candidates):
            "model \"\(name)\" fits several files: \(candidates.joined(separator: ", ")); give one of these names"
        case .noFile(let path):
            "model file \(path) does not exist"
        case .notInHubCache(let name, let cache):
            "model \(name) is not in the hub cache \(cache); fetch it where the hub can be reached (hf download \(name)), set "
                + "HF_HUB_CACHE to the cache that has it, or give the path of a file or folder"
        case .circular(let name):
            "models.\(name) in the configuration leads back to itself; give it a file, or the name of one"
        case .behind(let name, let reason):
            "models.\(name) in the configuration: \(reason)"
        }
    }
}

/// The models with names: those of the configuration, then the files and folders of the models directory.
///
/// A file `SmolLM2-135M-Instruct.Q4_1.gguf` has the names `SmolLM2-135M-Instruct.Q4_1` and, if no other file begins so,
/// `SmolLM2-135M-Instruct`. A split one is called without the numbers of its parts, and a folder by its name. Names are
/// case-insensitive. A name of the configuration refers to a file, a folder or another name; with settings it is a model of
/// its own, whatever it refers to. `org/name` is a model in the
/// cache of the Hugging Face hub, unless there is a file or folder at that path.
public struct ModelCatalogue: Sendable {
    /// The models directory.
    public let directory: String
    /// The configuration's entries, by lower-case name.
    private let named: [String: (name: String, model: NamedModel)]
    private let hub: HubCache
    /// The only path that leads to a model; nil: any path does.
    private var onlyPath: String??

    /// The catalogue for people who may name models but no files: paths and names of the hub lead nowhere, but for one.
    public func withoutPaths(but path: String?) -> ModelCatalogue {
        var copy = self
        copy.onlyPath = .some(path)
        return copy
    }

    /// Makes a catalogue of what is in `directory`, and of the configuration's names.
    public init(directory: String, named: [String: NamedModel], hub: HubCache = HubCache()) {
        self.directory = directory
        self.hub = hub
        self.named = Dictionary(
            named.map { ($0.key.lowercased(), (name: $0.key, model: $0.value)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Makes a catalogue of what is in `directory`, and of `named`, which maps names to paths or other names.
    public init(directory: String, named: [String: String], hub: HubCache = HubCache()) {
        self.init(directory: directory, named: named.mapValues { NamedModel($0) }, hub: hub)
    }

    /// Every known model with its file, sorted by name. A name that both have is the configuration's.
    public var entries: [CatalogueEntry] {
        let found = found
        let configured = named.values.filter { !$0.model.isAlias }.map { name, model in
            CatalogueEntry(
                name: name, path: (try? path(behind: name, among: found)) ?? model.meaning,
                options: model.options ?? ModelOptions())
        }
        let others = found.filter { named[$0.name.lowercased()] == nil }
        return (configured + others).sorted { $0.name < $1.name }
    }

    /// The models of the models directory.
    private var found: [CatalogueEntry] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return files.compactMap { entry(inDirectory: $0) }
    }

    /// The model that a file or folder of the models directory is; of a split one only its first part is one.
    private func entry(inDirectory file: String) -> CatalogueEntry? {
        let path = directory + "/" + file
        if let part = SplitName(file) { return part.index == 0 ? CatalogueEntry(name: part.prefix, path: path) : nil }
        if file.hasSuffix(".gguf") { return CatalogueEntry(name: String(file.dropLast(5)), path: path) }
        return HuggingFaceFolder.holdsModel(path) ? CatalogueEntry(name: file, path: path) : nil
    }

    /// The path at which `path` is, which may be a name of the hub; `nil` if there is nothing.
    private func fetched(_ path: String) -> String? {
        MappedFile.exists(path) ? path : hub.folder(of: path)
    }

    /// The error that there is nothing at `path`, or that the hub's cache lacks it.
    private func absent(_ path: String) -> ModelLookupError {
        HubCache.isModelName(path) ? .notInHubCache(name: path, cache: hub.path) : .noFile(path: path)
    }

    /// The names of the configuration that refer to other names, sorted.
    public var aliases: [String] { named.values.filter(\.model.isAlias).map(\.name).sorted() }

    /// The model called `name`, or at the path `name` if that contains a slash or ends in `.gguf`, or in the hub's cache.
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
        if let model = named[name.lowercased()] { return try entry(model.name, model.model) }
        if Self.isPath(name) {
            if case .some(let only) = onlyPath, name != only {
                throw .unknown(name: name, known: entries.map(\.name), directory: directory)
            }
            guard let path = fetched(name) else { throw absent(name) }
            return CatalogueEntry(name: name, path: path)
        }
        let entry = try candidate(name, of: entries)
        guard let model = named[entry.name.lowercased()] else { return entry }
        return try self.entry(model.name, model.model)
    }

    /// The entry of a name of the configuration.
    private func entry(_ name: String, _ model: NamedModel) throws(ModelLookupError) -> CatalogueEntry {
        do throws(ModelLookupError) {
            return CatalogueEntry(
                name: name, path: try path(behind: name, among: found), options: model.options ?? ModelOptions())
        } catch {
            if case .circular = error { throw error }
            throw .behind(name: name, error)
        }
    }

    /// The path to which a name of the configuration leads, over other names of it or a model of `found`.
    private func path(behind name: String, among found: [CatalogueEntry]) throws(ModelLookupError) -> String {
        var meant = name
        var passed: Set<String> = []
        while let next = named[meant.lowercased()] {
            guard passed.insert(meant.lowercased()).inserted else { throw .circular(name: next.name) }
            let isOwnName = next.model.meaning.lowercased() == meant.lowercased()
            meant = next.model.meaning
            // A model with settings may have the name of the file or folder that it means.
            if isOwnName, !next.model.isAlias { break }
        }
        guard Self.isPath(meant) else { return try candidate(meant, of: found).path }
        if let path = fetched(meant) { return path }
        // Whether a file is there is seen when it is opened.
        guard !HubCache.isModelName(meant) else { throw absent(meant) }
        return meant
    }

    /// The one of `entries` that `name` means: it may lack what follows a dot.
    private func candidate(_ name: String, of entries: [CatalogueEntry]) throws(ModelLookupError) -> CatalogueEntry {
        let wanted = name.lowercased()
        let exact = entries.filter { $0.name.lowercased() == wanted }
        let candidates = exact.isEmpty ? entries.filter { $0.name.lowercased().hasPrefix(wanted + ".") } : exact
        switch candidates.count {
        case 1: return candidates[0]
        case 0: throw .unknown(name: name, known: entries.map(\.name), directory: directory)
        default:
            let names = Set(candidates.map(\.name))
            throw .ambiguous(
                name: name, candidates: candidates.map { names.count == candidates.count ? $0.name : $0.path })
        }
    }

    /// The name or path to which a name finally refers: itself, unless the configuration has it.
    private func meaning(of name: String) throws(ModelLookupError) -> String {
        var meant = name
        var passed: Set<String> = []
        while let next = named[meant.lowercased()], next.model.isAlias {
            guard passed.insert(meant.lowercased()).inserted else { throw .circular(name: next.name) }
            meant = next.model.meaning
        }
        return meant
    }

    /// The name that a batch stores for a model: the one to which `name` refers. A path is made absolute, since the
    /// daemon has another working directory.
    public func remembered(_ name: String) throws(ModelLookupError) -> String {
        let meant = try meaning(of: name)
        guard named[meant.lowercased()] == nil, Self.isPath(meant) else { return meant }
        if HubCache.isModelName(meant), !MappedFile.exists(meant) { return meant }
        return URL(fileURLWithPath: meant).standardizedFileURL.path
    }

    /// The model name in results if the request asked for `name`: the file name of a path without its extension, else
    /// the name.
    public static func shown(_ name: String) -> String {
        let isPath = name.hasSuffix(".gguf") || ["/", "./", "../", "~/"].contains { name.hasPrefix($0) }
        guard isPath, name.contains(where: { $0 != "/" }) else { return name }
        return ModelConfig.name(of: name)
    }

    fileprivate static func isPath(_ name: String) -> Bool {
        name.contains("/") || name.hasSuffix(".gguf")
    }
}
