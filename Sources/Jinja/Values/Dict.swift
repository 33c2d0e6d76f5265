// Python's dict as chat templates see it: ordered and immutable.

/// An ordered, immutable dict. Small ones are searched linearly, larger ones through an index.
final class Dict {
    private static let indexedFrom = 12

    let keys: [Value]
    let values: [Value]
    let nesting: Int
    private let index: [DictKey: Int]

    /// If keys are equal, the last value counts, at the position of the first, as in Python.
    init(_ pairs: [(Value, Value)]) throws(JinjaError) {
        var keys: [Value] = []
        var values: [Value] = []
        var index: [DictKey: Int] = [:]
        keys.reserveCapacity(pairs.count)
        values.reserveCapacity(pairs.count)
        for (key, value) in pairs {
            let hashable = try DictKey(key)
            let known =
                pairs.count < Self.indexedFrom
                ? try keys.firstIndexTyped(of: hashable) : index[hashable]
            if let known {
                values[known] = value
                continue
            }
            if pairs.count >= Self.indexedFrom { index[hashable] = keys.count }
            keys.append(key)
            values.append(value)
        }
        self.keys = keys
        self.values = values
        self.index = index
        nesting = try max(Items.nesting(of: values), Items.nesting(of: keys))
    }

    var count: Int { keys.count }

    /// The value of a string key; the fast path of attribute access.
    subscript(name: String) -> Value? {
        if !index.isEmpty { return index[.string(Text(name))].map { values[$0] } }
        for (position, key) in keys.enumerated() {
            if case .string(let text) = key, text.string.hasSameScalars(as: name) { return values[position] }
        }
        return nil
    }

    /// The value of any hashable key.
    func value(for key: Value) throws(JinjaError) -> Value? {
        if case .string(let text) = key { return self[text.string] }
        let hashable = try DictKey(key)
        let position = index.isEmpty ? try keys.firstIndexTyped(of: hashable) : index[hashable]
        return position.map { values[$0] }
    }
}

/// A value as a dict key: numbers that are equal across types are one key, as in Python.
enum DictKey: Hashable {
    case null
    case int(Int)
    case float(Double)
    case string(Text)
    case tuple([DictKey])
    case object(ObjectIdentifier)
    case undefined

    init(_ value: Value) throws(JinjaError) {
        switch value {
        case .null: self = .null
        case .undefined: self = .undefined
        case .bool(let flag): self = .int(flag ? 1 : 0)
        case .int(let number): self = .int(number)
        case .float(let number): self = Int(exactly: number).map { .int($0) } ?? .float(number)
        case .string(let text): self = .string(text)
        case .tuple(let items) where items.nesting == 1:
            var keys: [DictKey] = []
            for item in items.values { keys.append(try DictKey(item)) }
            self = .tuple(keys)
        case .object(let object): self = .object(ObjectIdentifier(object))
        default: throw JinjaError(.type, "unhashable type: '\(value.typeName)'")
        }
    }
}

extension [Value] {
    fileprivate func firstIndexTyped(of key: DictKey) throws(JinjaError) -> Int? {
        for (position, value) in enumerated() {
            if case .string(let text) = value {
                if case .string(let wanted) = key, text == wanted { return position }
            } else if try DictKey(value) == key {
                return position
            }
        }
        return nil
    }
}
