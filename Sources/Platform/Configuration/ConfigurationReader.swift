// Reads typed values from a section of a configuration; unknown keys and values of the wrong type are errors.

/// A section of the configuration. Its keys are those that `read` asks for, so a key is named in one place.
package protocol ConfigurationSection {
    /// The defaults.
    init()

    /// Reads the values. It must read every key, independently of the other keys' values.
    ///
    /// - Throws: `ConfigurationError` that names the key, the value and what is allowed.
    mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError)
}

extension ConfigurationSection {
    /// The keys of the section, in the order in which they are read, without those that are only refused.
    package static var keys: [String] { emptyReader.keysRead }

    /// A reader without values from which the section has read: it knows the section's keys.
    private static var emptyReader: ConfigurationReader {
        let reader = ConfigurationReader([:])
        var section = Self()
        // No key is set, so no value can be wrong.
        try? section.read(reader)
        return reader
    }

    /// Reads the section.
    ///
    /// - Throws: `ConfigurationError.unknownKey` for a key that is never read, and the errors of `read`.
    package init(section values: [String: ConfigurationValue]) throws(ConfigurationError) {
        let empty = Self.emptyReader
        let known = empty.keysRead + empty.refusedKeys
        for key in values.keys.sorted() where !known.contains(key) { throw .unknownKey(key, known: known) }
        self.init()
        try read(ConfigurationReader(values))
    }
}

/// Reads values by key from one section of a configuration, and records the keys that are read.
package final class ConfigurationReader {
    private let values: [String: ConfigurationValue]
    /// The keys that were read, in order.
    fileprivate private(set) var keysRead: [String] = []
    fileprivate private(set) var refusedKeys: [String] = []

    /// A reader of `values`.
    init(_ values: [String: ConfigurationValue]) { self.values = values }

    /// The keys that are set.
    package var givenKeys: Set<String> { Set(values.keys) }

    /// Throws if one of `keys` is set: they are known but not supported.
    func refuse(_ keys: [String], reason: String, remedy: String) throws(ConfigurationError) {
        refusedKeys += keys
        for key in keys {
            if let value = values[key] {
                throw .unsupported(key: key, value: "\(value)", reason: reason, remedy: remedy)
            }
        }
    }

    /// The value before its type is checked.
    package func value(_ key: String) -> ConfigurationValue? {
        if !keysRead.contains(key) { keysRead.append(key) }
        return values[key]
    }

    package func boolean(_ key: String) throws(ConfigurationError) -> Bool? {
        switch value(key) {
        case nil: return nil
        case .boolean(let value): return value
        case .some(let other): throw .invalidValue(key: key, value: other, expected: "true or false")
        }
    }

    /// A whole number within `range`; nil if it is not set.
    package func integer(_ key: String, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
        guard let value = value(key) else { return nil }
        guard case .integer(let number) = value, range.contains(number) else {
            let bounds =
                range.upperBound == .max
                ? "at least \(range.lowerBound)" : "between \(range.lowerBound) and \(range.upperBound)"
            throw .invalidValue(key: key, value: value, expected: "a whole number, \(bounds)")
        }
        return number
    }

    /// A number for which `isValid`, as `expected` says; nil if it is not set.
    package func number(
        _ key: String, _ expected: String, where isValid: (Double) -> Bool
    ) throws(ConfigurationError) -> Double? {
        guard let value = value(key) else { return nil }
        switch value {
        case .integer(let number) where isValid(Double(number)): return Double(number)
        case .number(let number) where isValid(number): return number
        default: throw .invalidValue(key: key, value: value, expected: expected)
        }
    }

    /// A list of texts, or one text; empty if it is not set.
    package func strings(_ key: String) throws(ConfigurationError) -> [String] {
        guard let value = value(key) else { return [] }
        let items = if case .list(let items) = value { items } else { [value] }
        let texts = items.compactMap { if case .string(let text) = $0, !text.isEmpty { text } else { nil } }
        guard texts.count == items.count else {
            throw .invalidValue(key: key, value: value, expected: "a list of texts")
        }
        return texts
    }

    package func string(_ key: String) throws(ConfigurationError) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value, !text.isEmpty else {
            throw .invalidValue(key: key, value: value, expected: "a text that is not empty")
        }
        return text
    }

    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type = Choice.self
    ) throws(ConfigurationError) -> Choice? where Choice.RawValue == String {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value, let choice = Choice(rawValue: text) else {
            let allowed = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw .invalidValue(key: key, value: value, expected: "one of: \(allowed)")
        }
        return choice
    }

    /// The known key with the smallest edit distance, if it is close enough for `key` to be a typing error.
    package static func nearest(to key: String, in known: [String]) -> String? {
        let ranked = known.map { (name: $0, distance: editDistance(key, $0)) }
        guard let best = ranked.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
        return best.distance <= max(2, key.count / 3) ? best.name : nil
    }

    /// Levenshtein distance.
    private static func editDistance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var previous = Array(0...right.count)
        for (row, character) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                let replaced = previous[column] + (character == other ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
