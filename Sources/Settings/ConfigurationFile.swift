// Reads the YAML configuration file into flat keys, each with its place in the file.

import Platform
import Yams

/// A value and its place for errors: `ttbatch.yaml:12`, `TTBATCH_MODEL`, `--set`.
struct PlacedValue {
    var value: ConfigurationValue
    var place: String
    /// The keys under a model's name, which may have dots itself; `nil` for a value.
    var members: [String: PlacedValue]?
}

/// Reads YAML: sections become key prefixes (`engine.max_num_seqs`).
enum ConfigurationFile {
    /// The keys of the YAML document in `text`; `path` is for errors.
    static func parse(_ text: String, path: String) throws(InvalidConfiguration) -> [String: PlacedValue] {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw InvalidConfiguration(place: path, reason: "is not YAML: \(error)")
        }
        var values: [String: PlacedValue] = [:]
        guard let root, root.null == nil else { return values }
        try flatten(root, prefix: "", path: path, into: &values)
        return values
    }

    /// Reads a value of the environment or the command line as a YAML scalar or list.
    static func scalar(_ text: String, place: String) throws(InvalidConfiguration) -> PlacedValue {
        guard let node = try? Yams.compose(yaml: text), let value = value(of: node) else {
            return PlacedValue(value: .string(text), place: place)
        }
        return PlacedValue(value: value, place: place)
    }

    private static func flatten(
        _ node: Node, prefix: String, path: String, into values: inout [String: PlacedValue]
    ) throws(InvalidConfiguration) {
        let place = "\(path):\(node.mark?.line ?? 1)"
        guard case .mapping(let mapping) = node else {
            throw InvalidConfiguration(
                place: place, reason: "\(prefix.isEmpty ? "the document" : prefix) must be keys with values")
        }
        for (keyNode, child) in mapping {
            guard let name = keyNode.string else {
                throw InvalidConfiguration(place: place, reason: "a key is not a text")
            }
            let key = prefix.isEmpty ? name : "\(prefix).\(name)"
            let place = "\(path):\(keyNode.mark?.line ?? 1)"
            if case .mapping = child {
                if prefix == "models" {
                    var members: [String: PlacedValue] = [:]
                    try flatten(child, prefix: "", path: path, into: &members)
                    try insert(PlacedValue(value: .null, place: place, members: members), at: key, into: &values)
                } else {
                    try flatten(child, prefix: key, path: path, into: &values)
                }
                continue
            }
            if Configuration.sections.contains(key), child.null != nil { continue }
            guard let value = value(of: child) else {
                throw InvalidConfiguration(place: place, reason: "\(key) has a value of a kind that is not used here")
            }
            try insert(PlacedValue(value: value, place: place), at: key, into: &values)
        }
    }

    private static func insert(
        _ value: PlacedValue, at key: String, into values: inout [String: PlacedValue]
    ) throws(InvalidConfiguration) {
        guard values.updateValue(value, forKey: key) == nil else {
            throw InvalidConfiguration(place: value.place, reason: "\(key) is given twice")
        }
    }

    private static func value(of node: Node) -> ConfigurationValue? {
        switch node {
        case .scalar(let scalar):
            // Quoted values are text.
            guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
            if node.null != nil { return .null }
            if let value = node.bool { return .boolean(value) }
            if let value = node.int { return .integer(value) }
            if let value = node.float { return .number(value) }
            return node.string.map { .string($0) }
        case .sequence(let sequence):
            let items = sequence.compactMap { value(of: $0) }
            return items.count == sequence.count ? .list(items) : nil
        case .mapping, .alias:
            return nil
        }
    }
}

/// The error for a configuration that cannot be used.
public struct InvalidConfiguration: Error, Equatable, CustomStringConvertible {
    /// The file and line, the environment variable or the option.
    public var place: String
    /// What is wrong, and what to write instead.
    public var reason: String

    /// Makes an error.
    package init(place: String, reason: String) {
        self.place = place
        self.reason = reason
    }

    /// `ttbatch.yaml:12: engine.max_num_seqs: …`.
    public var description: String { "\(place): \(reason)" }
}
