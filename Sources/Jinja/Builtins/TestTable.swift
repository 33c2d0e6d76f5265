// Tests: what may follow `is`.

/// A test: the interpreter, the value before `is`, and the test's arguments.
typealias TestFunction = @Sendable (Interpreter, Value, Arguments) throws(JinjaError) -> Bool

enum TestTable {
    static let functions: [String: TestFunction] = {
        var all = typeTests
        all.merge(comparisons) { _, new in new }
        all.merge(properties) { _, new in new }
        return all
    }()

    private static func simple(_ name: String, _ test: @escaping @Sendable (Value) -> Bool) -> TestFunction {
        { _, value, arguments throws(JinjaError) in
            _ = try arguments.bind(name)
            return test(value)
        }
    }

    private static let typeTests: [String: TestFunction] = [
        "defined": simple("defined") { !$0.isUndefined },
        "undefined": simple("undefined") { $0.isUndefined },
        "none": simple("none") { $0.typeName == "NoneType" },
        "string": simple("string") { if case .string = $0 { true } else { false } },
        "number": simple("number") { $0.asDouble != nil },
        "integer": simple("integer") { $0.typeName == "int" },
        "float": simple("float") { $0.typeName == "float" },
        "boolean": simple("boolean") { $0.typeName == "bool" },
        "true": simple("true") { if case .bool(true) = $0 { true } else { false } },
        "false": simple("false") { if case .bool(false) = $0 { true } else { false } },
        "mapping": simple("mapping") { $0.typeName == "dict" },
        "iterable": simple("iterable") { $0.isIterable },
        "sequence": simple("sequence") { $0.isSequence },
        "callable": simple("callable") { if case .object(let object) = $0 { object.isCallable } else { false } },
        "escaped": simple("escaped") { $0.isMarkup },
    ]

    private static func comparison(_ comparison: Comparison) -> TestFunction {
        { interpreter, value, arguments throws(JinjaError) in
            let other = try arguments.bind(comparison.rawValue, ["other"], required: 1)[0]!
            return try interpreter.compare(value, comparison, other)
        }
    }

    private static let comparisons: [String: TestFunction] = [
        "eq": comparison(.equal), "==": comparison(.equal), "equalto": comparison(.equal),
        "ne": comparison(.notEqual), "!=": comparison(.notEqual),
        "lt": comparison(.less), "<": comparison(.less), "lessthan": comparison(.less),
        "le": comparison(.lessOrEqual), "<=": comparison(.lessOrEqual),
        "gt": comparison(.greater), ">": comparison(.greater), "greaterthan": comparison(.greater),
        "ge": comparison(.greaterOrEqual), ">=": comparison(.greaterOrEqual), "in": comparison(.isIn),
    ]

    private static let properties: [String: TestFunction] = [
        "odd": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("odd")
            return try interpreter.equal(try interpreter.apply(.modulo, value, .int(2)), .int(1))
        },
        "even": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("even")
            return try interpreter.equal(try interpreter.apply(.modulo, value, .int(2)), .int(0))
        },
        "divisibleby": { interpreter, value, arguments throws(JinjaError) in
            let divisor = try arguments.bind("divisibleby", ["num"], required: 1)[0]!
            return try interpreter.equal(try interpreter.apply(.modulo, value, divisor), .int(0))
        },
        "upper": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("upper")
            return try interpreter.text(of: value).isUppercase
        },
        "lower": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("lower")
            return try interpreter.text(of: value).isLowercase
        },
        "sameas": { interpreter, value, arguments throws(JinjaError) in
            let other = try arguments.bind("sameas", ["other"], required: 1)[0]!
            guard value.typeName == other.typeName else { return false }
            return try interpreter.equal(value, other)
        },
        "filter": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("filter")
            return FilterTable.functions[try interpreter.text(of: value).string] != nil
        },
        "test": { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind("test")
            return TestTable.functions[try interpreter.text(of: value).string] != nil
        },
    ]
}

extension Value {
    fileprivate var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }

    fileprivate var isIterable: Bool {
        switch self {
        case .null, .bool, .int, .float: false
        case .object(let object): object is LoopState
        default: true
        }
    }

    /// Whether Python's `len` and indexing work on it; that includes mappings.
    fileprivate var isSequence: Bool {
        switch self {
        case .undefined, .string, .list, .tuple, .dict, .range: true
        default: false
        }
    }
}
