// Models that run in place of those that a file's lines name: `--map-model gpt-4o-mini=smollm2`.

/// Which model runs for a name in a request. Results keep the request's name.
public struct ModelMap: Sendable, Equatable {
    /// By names without capitals.
    private var meanings: [String: String] = [:]
    /// For every other name, and for lines without one: `*=TO`.
    public private(set) var standard: String?

    /// A map of nothing.
    public init() {}

    /// Reads `FROM=TO` and `*=TO`.
    public init(parsing entries: [String]) throws(InvalidModelMap) {
        for entry in entries {
            guard let equals = entry.firstIndex(of: "=") else { throw .form(entry) }
            let (from, to) = (String(entry[..<equals]), String(entry[entry.index(after: equals)...]))
            guard !from.isEmpty, !to.isEmpty else { throw .form(entry) }
            let isFirst = self[from] == nil || (from != "*" && meanings[from.lowercased()] == nil)
            guard isFirst else { throw .twice(from) }
            if from == "*" { standard = to } else { meanings[from.lowercased()] = to }
        }
    }

    /// The model that runs for `name`; nil: the one of that name.
    public subscript(name: String) -> String? { meanings[name.lowercased()] ?? standard }

    /// Every model that the map leads to.
    var targets: [(from: String, to: String)] {
        (meanings.map { ($0.key, $0.value) } + (standard.map { [("*", $0)] } ?? [])).sorted { $0.0 < $1.0 }
    }
}

/// A `--map-model` that cannot be read.
public enum InvalidModelMap: Error, Equatable, CustomStringConvertible {
    case form(String)
    case twice(String)

    /// One line for a person.
    public var description: String {
        switch self {
        case .form(let entry):
            "\(entry): expected FROM=TO, e.g. gpt-4o-mini=smollm2-135m-instruct, or *=TO for whatever lines name"
        case .twice(let from):
            "\(from) is mapped twice; keep one"
        }
    }
}
