// Models that run instead of those named in a file: `--map-model gpt-4o-mini=smollm2`.

/// Maps model names in requests to the models that run. Results keep the name of the request.
public struct ModelMap: Sendable, Equatable {
    /// The mapped models, by lower-case name.
    private var meanings: [String: String] = [:]
    /// The model for every other name, and for lines without one: `*=TO`.
    public private(set) var standard: String?

    /// Makes an empty map.
    public init() {}

    /// Parses `FROM=TO` and `*=TO`.
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

    /// The model that runs for `name`; nil: the model of that name.
    public subscript(name: String) -> String? { meanings[name.lowercased()] ?? standard }

    /// Every model to which the map leads.
    var targets: [(from: String, to: String)] {
        (meanings.map { ($0.key, $0.value) } + (standard.map { [("*", $0)] } ?? [])).sorted { $0.0 < $1.0 }
    }
}

/// A `--map-model` that cannot be parsed.
public enum InvalidModelMap: Error, Equatable, CustomStringConvertible {
    case form(String)
    case twice(String)

    /// One line for people.
    public var description: String {
        switch self {
        case .form(let entry):
            "\(entry): expected FROM=TO, e.g. gpt-4o-mini=smollm2-135m-instruct, or *=TO for all other names"
        case .twice(let from):
            "\(from) is mapped twice; keep one"
        }
    }
}
