// A value while a template runs: those of Python's built-in types that chat templates need.

enum Value {
    case undefined(Undefined)
    /// Python's `None`.
    case null
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
    case list(Items)
    case tuple(Items)
    case dict(Dict)
    case range(IntegerRange)
    /// `dict.keys()`, `.values()`, `.items()`.
    case view(DictView)
    /// A Python generator or iterator: yields its elements once.
    case iterator(OneShotIterator)
    /// Any value with identity: namespaces, `loop`, macros, bound methods, global functions, cyclers.
    case object(RuntimeObject)
}

/// The elements of a list or tuple. Nesting is limited when values are built, so that printing, comparing and freeing
/// them can recurse safely.
struct Items {
    static let maximumNesting = 100

    let values: [Value]
    /// 1 for a flat list, one more than the deepest element otherwise.
    let nesting: Int
    /// The attribute names of the elements, for the tuples that `groupby` makes.
    let fieldNames: [String]

    init(_ values: [Value], fieldNames: [String] = []) throws(JinjaError) {
        self.values = values
        self.fieldNames = fieldNames
        nesting = try Self.nesting(of: values)
    }

    static func nesting(of values: [Value]) throws(JinjaError) -> Int {
        var deepest = 0
        for value in values { deepest = max(deepest, value.nesting) }
        if deepest >= maximumNesting {
            throw JinjaError(.limit, "lists and dicts are nested more than \(maximumNesting) deep")
        }
        return deepest + 1
    }
}

/// Python's `range`.
struct IntegerRange: Equatable {
    let start: Int
    let stop: Int
    let step: Int

    /// The number of integers. `step` is not 0, and the bounds are far from overflow (the sandbox limits ranges).
    var count: Int {
        if step > 0 { return stop > start ? (stop - start - 1) / step + 1 : 0 }
        return start > stop ? (start - stop - 1) / -step + 1 : 0
    }

    var values: [Value] { (0..<count).map { .int(start + $0 * step) } }
}

/// A view of a dict.
struct DictView {
    enum Kind: String { case keys, values, items }

    let kind: Kind
    let dict: Dict

    func values() throws(JinjaError) -> [Value] {
        switch kind {
        case .keys: return dict.keys
        case .values: return dict.values
        case .items:
            var pairs: [Value] = []
            pairs.reserveCapacity(dict.keys.count)
            for (key, value) in zip(dict.keys, dict.values) { pairs.append(.tuple(try Items([key, value]))) }
            return pairs
        }
    }
}

/// The result of filters such as `map` and `select`: as in Python it is truthy, has no length and is empty after one
/// pass.
final class OneShotIterator {
    private var remaining: ArraySlice<Value>
    let nesting: Int

    init(_ values: [Value]) throws(JinjaError) {
        remaining = values[...]
        nesting = try Items.nesting(of: values)
    }

    /// Takes all remaining elements.
    func takeAll() -> [Value] {
        defer { remaining = [] }
        return Array(remaining)
    }

    /// The next element.
    func next() -> Value? { remaining.popFirst() }
}

/// Why a value is undefined. It is the error message if the value is used for more than printing.
enum Undefined {
    case variable(String)
    case attribute(String, typeName: String)
    case item(String, typeName: String)
    case missing(String)
    /// The attribute may be looked up, but not used.
    case forbidden(attribute: String, typeName: String)

    var error: JinjaError {
        switch self {
        case .variable(let name): JinjaError(.undefined, "'\(name)' is undefined")
        case .attribute(let name, let type): JinjaError(.undefined, "'\(type)' has no attribute '\(name)'")
        case .item(let key, let type): JinjaError(.undefined, "\(type) has no element \(key)")
        case .missing(let message): JinjaError(.undefined, message)
        case .forbidden(let name, let type):
            JinjaError(.security, "access to attribute '\(name)' of '\(type)' is not allowed in a chat template")
        }
    }
}

extension Value {
    /// The nesting of containers in this value: 0 for a scalar.
    var nesting: Int {
        switch self {
        case .list(let items), .tuple(let items): items.nesting
        case .dict(let dict): dict.nesting
        case .view(let view): view.dict.nesting + 1
        case .iterator(let iterator): iterator.nesting
        case .object(let object): object.nesting
        default: 0
        }
    }

    /// Python's truth value. Iterators and objects are always true.
    var isTrue: Bool {
        switch self {
        case .undefined, .null: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .float(let value): value != 0
        case .string(let text): !text.isEmpty
        case .list(let items), .tuple(let items): !items.values.isEmpty
        case .dict(let dict): !dict.keys.isEmpty
        case .range(let range): range.count > 0
        case .view(let view): !view.dict.keys.isEmpty
        case .iterator, .object: true
        }
    }

    /// The name of the Python type, for error messages.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .null: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .float: "float"
        case .string(let text): text.isMarkup ? "Markup" : "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .range: "range"
        case .view(let view): "dict_\(view.kind.rawValue)"
        case .iterator: "generator"
        case .object(let object): object.typeName
        }
    }

    /// `True` and `False` are integers, as in Python.
    var asInteger: Int? {
        switch self {
        case .int(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    static func string(_ string: String, origin: Origin = .template) -> Value { .string(Text(string, origin: origin)) }

    static func list(_ values: [Value]) throws(JinjaError) -> Value { .list(try Items(values)) }

    static func tuple(_ values: [Value]) throws(JinjaError) -> Value { .tuple(try Items(values)) }

    static func iterator(_ values: [Value]) throws(JinjaError) -> Value { .iterator(try OneShotIterator(values)) }
}
