// The whole configuration: options before environment before file before defaults. Every key is checked.

import Foundation
public import ModelFiles
public import Platform
import Runtime
public import TTNNSettings

/// The resolved configuration.
public struct Configuration: Sendable {
    /// Where the queue is.
    public var database: QueueLocation
    /// A folder of this daemon's own on this machine, where the queue is not in a file.
    public var stateDirectory = ""
    /// The model for batches that do not name one.
    public var model: String
    /// The catalogue in which models are found by name.
    public var catalogue: ModelCatalogue
    /// The folder of what is known of files of models: their SHA-256.
    public var digestCache: String
    /// The engine's settings, `engine:` and `tt:`.
    public var engine: EngineConfiguration
    /// The settings of the bridge to Tenstorrent hardware, `bridge:`.
    public var bridge: BridgeConfiguration
    /// The daemon's settings, `daemon:`.
    public var daemon: DaemonSettings
    /// The settings of the HTTP server, `server:`.
    public var server = ServerSettings()

    /// The name that a batch stores for the configured model; nil if it leads to no model.
    public var rememberedModel: String? { try? catalogue.remembered(model) }

    /// Sections. Their keys have a prefix with a dot on the command line.
    static let sections = ["models", "engine", "tt", "bridge", "daemon", "server"]
    static let topLevelKeys = ["db", "model", "models_directory", "state_directory"]
}

/// The sources of a configuration.
public struct ConfigurationSources: Sendable {
    /// The file that `--config` names.
    public var file: String?
    /// Values of options by key, e.g. `db` or `engine.max_num_seqs`, each with its option.
    public var flags: [(key: String, value: String, flag: String)]
    /// The environment.
    public var environment: [String: String]

    /// Makes sources; without a `file` the default configuration file is read, if there is one.
    public init(file: String?, flags: [(key: String, value: String, flag: String)], environment: [String: String]) {
        self.file = file
        self.flags = flags
        self.environment = environment
    }
}

extension Configuration {
    /// Resolves the configuration.
    ///
    /// - Throws: `InvalidConfiguration` with the place, the key and the allowed values.
    public init(_ sources: ConfigurationSources) throws(InvalidConfiguration) {
        let home = sources.environment["HOME"] ?? FileManager.default.homeDirectoryForCurrentUser.path
        var values = try Self.fileValues(sources, home: home)
        values.merge(try Self.environmentValues(sources.environment)) { _, new in new }
        for (key, value, flag) in sources.flags {
            // Paths and names are used as they are written, even if YAML would read them as another type.
            let placed =
                Self.topLevelKeys.contains(key)
                ? PlacedValue(value: .string(value), place: flag) : try ConfigurationFile.scalar(value, place: flag)
            if let (name, member) = Self.modelKey(key, values), let model = values[name] {
                // A name that has only a path so far gets settings.
                let members = model.members ?? ["path": model]
                values[name]?.members = members.merging([member: placed]) { $1 }
            } else {
                values[key] = placed
            }
        }
        try self.init(values: values, environment: sources.environment, home: home)
    }

    private init(
        values: [String: PlacedValue], environment: [String: String], home: String
    ) throws(InvalidConfiguration) {
        let sections = try Self.divide(values)
        let data = Self.baseDirectory("XDG_DATA_HOME", environment) ?? home + "/.local/share"
        let state = Self.baseDirectory("XDG_STATE_HOME", environment) ?? home + "/.local/state"
        let cache = Self.baseDirectory("XDG_CACHE_HOME", environment) ?? home + "/.cache"
        func path(_ key: String, default standard: String) throws(InvalidConfiguration) -> String {
            let text = try Self.text(values[key], key: key) ?? standard
            if key == "db", case .postgres = QueueLocation(text) { return text }
            if let placed = values[key], let location = ForeignLocation(text) {
                throw InvalidConfiguration(place: placed.place, reason: "\(key): \(location)")
            }
            return text.hasPrefix("~/") ? home + text.dropFirst(1) : text
        }
        let queue = try path("db", default: data + "/ttbatch/ttbatch.db")
        database = QueueLocation(queue) ?? .file(queue)
        stateDirectory = try path("state_directory", default: state + "/ttbatch")
        model = try path("model", default: "smollm2-135m-instruct")
        var named: [String: NamedModel] = [:]
        for (name, placed) in (sections["models"] ?? [:]).sorted(by: { $0.key < $1.key }) {
            try Self.checkModelName(name, placed, among: named.keys)
            guard let members = placed.members else {
                named[name] = NamedModel(try path("models.\(name)", default: ""))
                continue
            }
            let settings = try Self.modelSettings(name, members, at: placed.place, home: home)
            named[name] = NamedModel(settings.path, options: settings.options)
            for alias in settings.aliases {
                try Self.checkModelName(alias, placed, among: named.keys)
                named[alias] = NamedModel(name)
            }
        }
        digestCache = cache + "/ttbatch/sha256"
        catalogue = ModelCatalogue(
            directory: try path("models_directory", default: cache + "/ttbatch/models"), named: named)
        engine = try Self.locating(sections, in: ["engine", "tt"]) { () throws(ConfigurationError) in
            try EngineConfiguration(
                parsing: (sections["engine"] ?? [:]).mapValues(\.value),
                tt: (sections["tt"] ?? [:]).mapValues(\.value))
        }
        bridge = try Self.locating(sections, in: ["bridge"]) { () throws(ConfigurationError) in
            try BridgeConfiguration(parsing: (sections["bridge"] ?? [:]).mapValues(\.value))
        }
        daemon = try Self.locating(sections, in: ["daemon"]) { () throws(ConfigurationError) in
            try DaemonSettings(section: (sections["daemon"] ?? [:]).mapValues(\.value))
        }
        server = try Self.locating(sections, in: ["server"]) { () throws(ConfigurationError) in
            try ServerSettings(section: (sections["server"] ?? [:]).mapValues(\.value))
        }
    }

    /// The model and the key of `models.NAME.KEY`, if the configuration has NAME. Names may have dots, so that the longest
    /// one counts; a key that does not exist is refused with those of the file.
    private static func modelKey(_ key: String, _ values: [String: PlacedValue]) -> (model: String, key: String)? {
        guard values[key] == nil else { return nil }
        let models = values.keys.filter { $0.hasPrefix("models.") && key.hasPrefix($0 + ".") }
        return models.max { $0.count < $1.count }.map { ($0, String(key.dropFirst($0.count + 1))) }
    }

    private static func modelSettings(
        _ name: String, _ members: [String: PlacedValue], at place: String, home: String
    ) throws(InvalidConfiguration) -> ModelSettings {
        var settings = try locating(["models.\(name)": members], in: ["models.\(name)"]) {
            () throws(ConfigurationError) in
            try ModelSettings(section: members.mapValues(\.value).filter { $0.value != .null })
        }
        guard !settings.path.isEmpty else {
            throw InvalidConfiguration(
                place: place, reason: "models.\(name) needs path: a GGUF file, a Hugging Face folder, or a name")
        }
        func expanded(_ path: String) -> String { path.hasPrefix("~/") ? home + path.dropFirst(1) : path }
        settings.path = expanded(settings.path)
        settings.options.templatePath = settings.options.templatePath.map(expanded)
        return settings
    }

    private static func checkModelName(
        _ name: String, _ placed: PlacedValue, among others: some Sequence<String>
    ) throws(InvalidConfiguration) {
        guard placed.value != .null || placed.members != nil else {
            throw InvalidConfiguration(
                place: placed.place, reason: "models.\(name) needs a path, or the name of a model")
        }
        guard name != "*" else {
            throw InvalidConfiguration(
                place: placed.place, reason: "models.*: one model for all names is said with --map-model '*=NAME'")
        }
        if let other = others.first(where: { $0.lowercased() == name.lowercased() }) {
            throw InvalidConfiguration(
                place: placed.place, reason: "models.\(name) and models.\(other) are the same name; keep one")
        }
    }

    /// Divides values by section and key. Keys outside of the sections are checked here.
    private static func divide(
        _ values: [String: PlacedValue]
    ) throws(InvalidConfiguration) -> [String: [String: PlacedValue]] {
        var divided: [String: [String: PlacedValue]] = [:]
        for (key, placed) in values.sorted(by: { $0.key < $1.key }) where !topLevelKeys.contains(key) {
            guard !sections.contains(key) else {
                throw InvalidConfiguration(place: placed.place, reason: "\(key) must have keys under it, not a value")
            }
            let parts = key.split(separator: ".", maxSplits: 1).map(String.init)
            guard parts.count == 2, sections.contains(parts[0]) else {
                throw InvalidConfiguration(place: placed.place, reason: "unknown key \(key); \(hint(for: key))")
            }
            divided[parts[0], default: [:]][parts[1]] = placed
        }
        return divided
    }

    /// The known keys of each section. `models` has none, since its keys are names.
    private static let keys: [(section: String, keys: [String])] = [
        ("engine", EngineConfiguration.keys), ("tt", TTConfig.keys), ("bridge", BridgeConfiguration.keys),
        ("daemon", DaemonSettings.keys), ("server", ServerSettings.keys),
    ]

    /// A suggestion for an unknown key outside of the sections: a similar key, a key that belongs in a section, or a
    /// section with a similar name.
    private static func hint(for key: String) -> String {
        let known = topLevelKeys + sections
        let parts = key.split(separator: ".", maxSplits: 1).map(String.init)
        if parts.count == 2 {
            if topLevelKeys.contains(parts[0]) { return "\(parts[0]) takes a value, not keys" }
            let near = keys.filter { ConfigurationReader.nearest(to: parts[0], in: [$0.section]) != nil }
            if let section = near.first(where: { $0.keys.contains(parts[1]) })?.section {
                return "did you mean \(section).\(parts[1])?"
            }
        } else if let home = keys.first(where: { $0.keys.contains(key) }) {
            return "did you mean \(home.section).\(key)?"
        } else if let nearest = ConfigurationReader.nearest(to: key, in: known) {
            return "did you mean \(nearest)?"
        }
        return "known: \(known.joined(separator: ", "))"
    }

    private static func text(_ placed: PlacedValue?, key: String) throws(InvalidConfiguration) -> String? {
        guard let placed, placed.value != .null else { return nil }
        guard case .string(let text) = placed.value, !text.isEmpty else {
            throw InvalidConfiguration(
                place: placed.place,
                reason: "\(key): \(placed.value) is not a text; quote a number that is meant as one")
        }
        return text
    }

    /// Calls `parse`. An error about a key gets the place of that key.
    private static func locating<Value>(
        _ divided: [String: [String: PlacedValue]], in names: [String],
        _ parse: () throws(ConfigurationError) -> Value
    ) throws(InvalidConfiguration) -> Value {
        do throws(ConfigurationError) {
            return try parse()
        } catch {
            for name in names {
                guard let key = error.key, let placed = divided[name]?[key] else { continue }
                throw InvalidConfiguration(place: placed.place, reason: "\(name): \(error)")
            }
            throw InvalidConfiguration(place: "configuration", reason: "\(error)")
        }
    }
}

extension ConfigurationError {
    /// The key of the error, if it has one.
    fileprivate var key: String? {
        switch self {
        case .unknownKey(let key, _), .invalidValue(let key, _, _), .unsupported(let key, _, _, _): key
        case .contradiction, .unknownDevice, .noDevice, .noModel, .keyValueCacheTooSmall: nil
        }
    }
}

// MARK: - File and environment

extension Configuration {
    /// A directory of the XDG base directory specification. A variable that is empty or relative counts as not set.
    private static func baseDirectory(_ variable: String, _ environment: [String: String]) -> String? {
        environment[variable].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    private static func fileValues(
        _ sources: ConfigurationSources, home: String
    ) throws(InvalidConfiguration) -> [String: PlacedValue] {
        let named = sources.file ?? sources.environment["TTBATCH_CONFIG"]
        let configHome = baseDirectory("XDG_CONFIG_HOME", sources.environment) ?? home + "/.config"
        let standard = [configHome + "/ttbatch/ttbatch.yaml", "/etc/ttbatch.yaml"]
        guard let path = named ?? standard.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            return [:]
        }
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else {
            throw InvalidConfiguration(place: path, reason: "cannot be read; check the path and its permissions")
        }
        return try ConfigurationFile.parse(text, path: path)
    }

    /// The values of `TTBATCH_DB`, `TTBATCH_ENGINE_MAX_NUM_SEQS` … by key. Unknown ones are errors, as in the file.
    private static func environmentValues(
        _ environment: [String: String]
    ) throws(InvalidConfiguration) -> [String: PlacedValue] {
        var values: [String: PlacedValue] = [:]
        for (variable, text) in environment where variable.hasPrefix("TTBATCH_") {
            if ["TTBATCH_CONFIG", "TTBATCH_SERVER"].contains(variable) { continue }
            if reservedPrefixes.contains(where: variable.hasPrefix) { continue }
            let name = variable.dropFirst("TTBATCH_".count).lowercased()
            if topLevelKeys.contains(name) {
                values[name] = PlacedValue(value: .string(text), place: variable)
            } else if let section = ["engine", "tt", "bridge", "daemon", "server"].first(where: {
                name.hasPrefix($0 + "_")
            }) {
                let key = "\(section).\(name.dropFirst(section.count + 1))"
                values[key] = try ConfigurationFile.scalar(text, place: variable)
            } else {
                throw InvalidConfiguration(place: variable, reason: "no such setting; \(hint(forVariable: variable))")
            }
        }
        return values
    }

    private static func hint(forVariable variable: String) -> String {
        let names =
            (["config"] + topLevelKeys + keys.flatMap { section, keys in keys.map { "\(section)_\($0)" } })
            .map { "TTBATCH_" + $0.uppercased() }
        // The common prefix would make all names look similar.
        let nearest = ConfigurationReader.nearest(
            to: String(variable.dropFirst("TTBATCH_".count)), in: names.map { String($0.dropFirst("TTBATCH_".count)) })
        if let nearest { return "did you mean TTBATCH_\(nearest)?" }
        return "known: TTBATCH_CONFIG, TTBATCH_DB, TTBATCH_MODEL, TTBATCH_MODELS_DIRECTORY, and TTBATCH_ENGINE_, "
            + "TTBATCH_TT_, TTBATCH_BRIDGE_, TTBATCH_DAEMON_ with a key"
    }

    /// Variables for tests, for the choice of kernels, for the place of a library and for the key of a server elsewhere, which
    /// are not settings of the queue.
    private static let reservedPrefixes = ["TTBATCH_TEST_", "TTBATCH_ISA", "TTBATCH_LLGUIDANCE", "TTBATCH_API_KEY"]
}
