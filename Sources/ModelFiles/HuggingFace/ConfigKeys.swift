// The keys of a JSON file of a Hugging Face folder, read with the kind that each should have.

import JSONText

/// The members of an object in a JSON file. `null` counts as absent, but hides a default.
struct ConfigKeys: Sendable {
    /// The file.
    let path: String
    /// The keys that lead to this object, with a dot after each, for messages.
    let place: String
    private let values: [String: JSONValue]
    private let defaults: [String: JSONValue]

    /// The longest file that is read, in bytes.
    private static let longestFile = 1 << 25

    init(path: String, place: String = "", _ values: [String: JSONValue], defaults: [String: JSONValue] = [:]) {
        self.path = path
        self.place = place
        self.values = values
        self.defaults = defaults
    }

    /// Reads the file at `path`, which must hold an object.
    ///
    /// - Throws: `ModelFileError`.
    init(fileAt path: String) throws(ModelFileError) {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= Self.longestFile else {
            throw .unsupported(path: path, what: "a file of \(file.bytes.count) bytes")
        }
        let value: JSONValue
        do throws(JSONValue.ReadError) {
            value = try JSONValue(parsing: file.bytes)
        } catch {
            try file.checkUnchanged()
            switch error {
            case .syntax:
                let bytes = Array(file.bytes)
                let fault = JSONSyntaxScanner.fault(in: bytes, of: .text)
                let place = fault.place(in: bytes)
                throw .notJSON(path: path, place: "line \(place.line), column \(place.column)", problem: fault.problem)
            case .duplicateKey, .integerOutOfRange:
                throw .notJSON(path: path, place: "JSON", problem: error.description)
            }
        }
        guard case .object(let members) = value else {
            throw .notJSON(path: path, place: "line 1", problem: "the file holds no object")
        }
        self.init(path: path, Self.dictionary(members))
    }

    /// The same keys, with the values of keys that are absent.
    func with(defaults: [String: JSONValue]) -> ConfigKeys {
        ConfigKeys(path: path, place: place, values, defaults: defaults)
    }

    private static func dictionary(_ members: [JSONValue.Member]) -> [String: JSONValue] {
        Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    /// The keys that the file has, sorted.
    var names: [String] { values.keys.sorted() }

    /// The value at `key`, or its default.
    subscript(key: String) -> JSONValue? {
        guard let value = values[key] ?? defaults[key], value != .null else { return nil }
        return value
    }

    /// Whether the file itself has `key`, if only as `null`.
    func contains(_ key: String) -> Bool { values[key] != nil }

    /// The whole number at `key`, if there is one.
    func integer(_ key: String) throws(ModelFileError) -> Int? {
        switch self[key] {
        case nil: return nil
        case .int(let number)?: return Int(number)
        case .double(let number)? where number == number.rounded() && abs(number) < 0x1p53: return Int(number)
        case .some(let other): throw wrongValue(key, other, "a whole number")
        }
    }

    /// A size: a whole number that is positive, and so small that a product of a few cannot overflow.
    func size(_ key: String) throws(ModelFileError) -> Int? {
        guard let number = try integer(key) else { return nil }
        guard (1...1 << 28).contains(number) else {
            throw wrongValue(key, "\(number)", "a number from 1 to \(1 << 28)")
        }
        return number
    }

    /// The size at `key`.
    func requiredSize(_ key: String) throws(ModelFileError) -> Int {
        guard let size = try size(key) else { throw missing(key, "a whole number") }
        return size
    }

    /// The number at `key`, if there is one.
    func number(_ key: String) throws(ModelFileError) -> Double? {
        guard let value = self[key] else { return nil }
        guard let number = Self.number(value) else { throw wrongValue(key, value, "a number") }
        return number
    }

    /// The number at `key`.
    func requiredNumber(_ key: String) throws(ModelFileError) -> Double {
        guard let number = try number(key) else { throw missing(key, "a number") }
        return number
    }

    /// The numbers at `key`, if there are some.
    func numbers(_ key: String) throws(ModelFileError) -> [Double]? {
        guard let value = self[key] else { return nil }
        guard case .array(let elements) = value else { throw wrongValue(key, value, "an array of numbers") }
        var numbers: [Double] = []
        for element in elements {
            guard let number = Self.number(element) else { throw wrongValue(key, element, "an array of numbers") }
            numbers.append(number)
        }
        return numbers
    }

    /// The boolean at `key`, if there is one.
    func flag(_ key: String) throws(ModelFileError) -> Bool? {
        switch self[key] {
        case nil: return nil
        case .bool(let flag)?: return flag
        case .some(let other): throw wrongValue(key, other, "true or false")
        }
    }

    /// The string at `key`, if there is one.
    func string(_ key: String) throws(ModelFileError) -> String? {
        switch self[key] {
        case nil: return nil
        case .string(let text)?: return text
        case .some(let other): throw wrongValue(key, other, "a string")
        }
    }

    /// The strings at `key`, if there are some.
    func strings(_ key: String) throws(ModelFileError) -> [String]? {
        guard let value = self[key] else { return nil }
        guard case .array(let elements) = value else { throw wrongValue(key, value, "an array of strings") }
        var strings: [String] = []
        for element in elements {
            guard case .string(let text) = element else { throw wrongValue(key, element, "an array of strings") }
            strings.append(text)
        }
        return strings
    }

    /// The object at `key`, if there is one.
    func object(_ key: String) throws(ModelFileError) -> ConfigKeys? {
        switch self[key] {
        case nil: return nil
        case .object(let members)?:
            return ConfigKeys(path: path, place: spelling(key) + ".", Self.dictionary(members))
        case .some(let other): throw wrongValue(key, other, "an object")
        }
    }

    /// `key` with the keys that lead to it.
    func spelling(_ key: String) -> String { place + key }

    /// The error that `key` is absent.
    func missing(_ key: String, _ expected: String) -> ModelFileError {
        .missingKey(path: path, key: spelling(key), expected: expected)
    }

    /// The error that `key` has a value that it cannot have.
    func wrongValue(_ key: String, _ found: String, _ expected: String) -> ModelFileError {
        .wrongValue(path: path, key: spelling(key), found: found, expected: expected)
    }

    private func wrongValue(_ key: String, _ found: JSONValue, _ expected: String) -> ModelFileError {
        wrongValue(key, found.excerpt, expected)
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }
}

extension JSONValue {
    /// The value for a message: shortened, and arrays and objects only named.
    var excerpt: String {
        switch self {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .int(let number): "\(number)"
        case .double(let number): "\(number)"
        case .string(let text): Excerpt.quoted(text)
        case .array(let elements): elements.isEmpty ? "[]" : "[…]"
        case .object(let members): members.isEmpty ? "{}" : "{…}"
        }
    }

    /// Whether the value says that something is absent: no, zero, or nothing.
    var isNeutral: Bool {
        switch self {
        case .null: true
        case .bool(let flag): !flag
        case .int(let number): number == 0
        case .double(let number): number == 0
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        }
    }
}
