// The methods of Python's types that a template can call, those that the sandbox forbids, and the dispatch of calls.

enum MethodTable {
    static let string: Set<String> = [
        "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "upper", "lower", "title", "capitalize",
        "swapcase", "casefold", "startswith", "endswith", "replace", "join", "find", "rfind", "index", "rindex",
        "count", "format", "removeprefix", "removesuffix", "partition", "rpartition", "center", "ljust", "rjust",
        "zfill", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower",
        "istitle", "isascii", "isidentifier",
    ]
    static let dict: Set<String> = ["get", "items", "keys", "values", "copy"]
    static let sequence: Set<String> = ["index", "count"]
    /// Methods that change their list or dict.
    private static let forbiddenOnList: Set<String> = [
        "append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove",
    ]
    private static let forbiddenOnDict: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]

    static func isForbidden(_ name: String, on value: Value) -> Bool {
        switch value {
        case .list: forbiddenOnList.contains(name)
        case .dict: forbiddenOnDict.contains(name)
        case .string: name == "format_map"
        default: false
        }
    }
}

extension Interpreter {
    func hasMethod(_ name: String, _ value: Value) -> Bool {
        switch value {
        case .string: return MethodTable.string.contains(name)
        case .dict: return MethodTable.dict.contains(name)
        case .list: return name == "copy" || MethodTable.sequence.contains(name)
        case .tuple, .range: return MethodTable.sequence.contains(name)
        case .float: return name == "is_integer"
        case .object(let object):
            return (object is LoopState && (name == "cycle" || name == "changed"))
                || (object is Cycler && (name == "next" || name == "reset"))
        default: return false
        }
    }

    /// Calls a method for which `hasMethod` returns true.
    func callMethod(_ name: String, of receiver: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch receiver {
        case .string(let text): return try callStringMethod(name, text, arguments)
        case .dict(let dict): return try callDictMethod(name, dict, arguments)
        case .list where name == "copy": return receiver
        case .list, .tuple, .range: return try callSequenceMethod(name, try elements(of: receiver), arguments)
        case .float(let number): return .bool(number.isFinite && number.rounded() == number)
        case .object(let loop as LoopState): return try loop.callMethod(name, arguments, self)
        case .object(let cycler as Cycler): return cycler.callMethod(name)
        default: throw JinjaError(.type, "'\(receiver.typeName)' object has no method '\(name)'")
        }
    }

    private func callDictMethod(_ name: String, _ dict: Dict, _ arguments: Arguments) throws(JinjaError) -> Value {
        if name == "get" {
            let values = try arguments.bind("get", ["key", "default"], required: 1)
            return try dict.value(for: values[0]!) ?? values[1] ?? .null
        }
        _ = try arguments.bind(name)
        return DictView.Kind(rawValue: name).map { .view(DictView(kind: $0, dict: dict)) } ?? .dict(dict)
    }

    private func callSequenceMethod(
        _ name: String, _ values: [Value], _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind(name, ["value", "start", "stop"], required: 1)
        let (start, stop) = clampedRange(try optionalInteger(bound[1]), try optionalInteger(bound[2]), values.count)
        var count = 0
        for (position, value) in values.enumerated() where try equal(value, bound[0]!) {
            if name == "count" {
                count += 1
            } else if position >= start, position < stop {
                return .int(position)
            }
        }
        if name == "count" { return .int(count) }
        throw JinjaError(.value, "\(try representation(of: bound[0]!).string) is not in the list")
    }

    /// Python's optional start and stop (negative from the end), clamped.
    func clampedRange(_ start: Int?, _ stop: Int?, _ count: Int) -> (start: Int, stop: Int) {
        func clamp(_ bound: Int) -> Int { bound < 0 ? max(0, max(bound, -count) + count) : min(bound, count) }
        return (start.map { $0 > count ? $0 : clamp($0) } ?? 0, stop.map(clamp) ?? count)
    }

    // MARK: Argument conversion

    func optionalInteger(_ value: Value?) throws(JinjaError) -> Int? {
        guard let value else { return nil }
        if case .null = value { return nil }
        return try integer(value)
    }

    func integer(_ value: Value) throws(JinjaError) -> Int {
        if case .undefined(let undefined) = value { throw undefined.error }
        guard let integer = value.asInteger else {
            throw JinjaError(.type, "'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return integer
    }

    func string(_ value: Value) throws(JinjaError) -> Text {
        if case .undefined(let undefined) = value { throw undefined.error }
        guard case .string(let text) = value else {
            throw JinjaError(.type, "expected a string, not '\(value.typeName)'")
        }
        return text
    }
}
