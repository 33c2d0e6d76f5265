// Reads typed values from a section of a configuration; unknown keys and values of the wrong type are errors.

/// Takes values by key from one section of a configuration.
package struct ConfigurationReader {
    private let values: [String: ConfigurationValue]

    /// A reader of `values`.
    ///
    /// - Throws: `ConfigurationError.unknownKey` for a key that is not in `known`.
    package init(_ values: [String: ConfigurationValue], known: [String]) throws(ConfigurationError) {
        for key in values.keys.sorted() where !known.contains(key) {
            throw .unknownKey(key, known: known)
        }
        self.values = values
    }

    /// The keys that are set.
    package var keys: Set<String> { Set(values.keys) }

    package func value(_ key: String) -> ConfigurationValue? { values[key] }

    package func boolean(_ key: String) throws(ConfigurationError) -> Bool? {
        switch values[key] {
        case nil: return nil
        case .boolean(let value): return value
        case .some(let other): throw .invalidValue(key: key, value: other, expected: "true or false")
        }
    }

    /// A whole number within `range`; nil if it is not set.
    package func integer(_ key: String, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
        guard let value = values[key] else { return nil }
        guard case .integer(let number) = value, range.contains(number) else {
            let bounds =
                range.upperBound == .max
                ? "at least \(range.lowerBound)" : "between \(range.lowerBound) and \(range.upperBound)"
            throw .invalidValue(key: key, value: value, expected: "a whole number, \(bounds)")
        }
        return number
    }

    package func string(_ key: String) throws(ConfigurationError) -> String? {
        guard let value = values[key] else { return nil }
        guard case .string(let text) = value, !text.isEmpty else {
            throw .invalidValue(key: key, value: value, expected: "a text that is not empty")
        }
        return text
    }

    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of type: Choice.Type = Choice.self
    ) throws(ConfigurationError) -> Choice? where Choice.RawValue == String {
        guard let value = values[key] else { return nil }
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
