// Filters over sequences: size, ends, order and division.

enum SequenceFilters {
    static let functions: [String: FilterFunction] = [
        "length": length, "count": length, "first": first, "last": last, "list": list, "reverse": reverse,
        "join": join, "items": items, "batch": batch, "slice": slice, "default": fallback, "d": fallback,
        "attr": attribute,
    ]

    @Sendable private static func fallback(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("default", ["default_value", "boolean"])
        let replacement = bound[0] ?? .string("")
        if case .undefined = value { return replacement }
        return bound[1]?.isTrue == true && !value.isTrue ? replacement : value
    }

    @Sendable private static func length(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("length")
        return .int(try interpreter.length(of: value))
    }

    @Sendable private static func first(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("first")
        let found =
            if case .iterator(let iterator) = value { iterator.next() } else {
                try interpreter.elements(of: value).first
            }
        return found ?? .undefined(.missing("there is no first item, the sequence is empty"))
    }

    @Sendable private static func last(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("last")
        if case .iterator = value { throw JinjaError(.type, "'generator' object is not reversible") }
        // Python iterates over markup forwards by plain characters, but backwards by its own slices.
        let last = try interpreter.elements(of: value).last
        return try (value.isMarkup ? last?.marked() : last)
            ?? .undefined(.missing("there is no last item, the sequence is empty"))
    }

    @Sendable private static func list(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("list")
        let elements = try interpreter.elements(of: value)
        try interpreter.spend(elements: elements.count)
        return try .list(elements)
    }

    @Sendable private static func reverse(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("reverse")
        let elements = try interpreter.elements(of: value)
        try interpreter.spend(elements: elements.count)
        if case .string = value {
            let reversed = try interpreter.join(try .list(elements.reversed()), separator: Text())
            return .string(reversed.marked(asMarkup: value.isMarkup))
        }
        return try .iterator(elements.reversed())
    }

    /// Elements of any type are converted to strings.
    @Sendable private static func join(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("join", ["d", "attribute"])
        var pieces: [Value] = []
        for element in try interpreter.elements(of: value) {
            let part = try interpreter.path(bound[1], of: element)
            pieces.append(.string(try interpreter.text(of: part)))
        }
        let separator = try bound[0].map { value throws(JinjaError) in try interpreter.text(of: value) } ?? Text()
        return .string(try interpreter.join(try .list(pieces), separator: separator))
    }

    @Sendable private static func items(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("items")
        switch value {
        case .undefined: return try .iterator([])
        case .dict(let dict):
            try interpreter.spend(elements: 3 * dict.count)
            return try .iterator(try DictView(kind: .items, dict: dict).values())
        default: throw JinjaError(.type, "can only get item pairs from a mapping, not \(value.typeName)")
        }
    }

    @Sendable private static func batch(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("batch", ["linecount", "fill_with"], required: 1)
        let size = max(1, try interpreter.integer(bound[0]!))
        let elements = try interpreter.elements(of: value)
        try interpreter.spend(elements: 2 * elements.count)
        var rows: [Value] = []
        var start = 0
        while start < elements.count {
            var row = Array(elements[start..<min(start + min(size, elements.count), elements.count)])
            if row.count < size, let fill = bound[1], fill.typeName != "NoneType" {
                try interpreter.spend(elements: size - row.count)
                row += Array(repeating: fill, count: size - row.count)
            }
            rows.append(try .list(row))
            start += row.count
        }
        return try .iterator(rows)
    }

    @Sendable private static func slice(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("slice", ["slices", "fill_with"], required: 1)
        let count = try interpreter.integer(bound[0]!)
        if count == 0 { throw JinjaError(.value, "integer division or modulo by zero") }
        let elements = try interpreter.elements(of: value)
        try interpreter.spend(elements: max(count, 0))
        var slices: [Value] = []
        var start = 0
        for index in 0..<max(count, 0) {
            let isLonger = index < elements.count % count
            let end = start + elements.count / count + (isLonger ? 1 : 0)
            var part = Array(elements[start..<end])
            if let fill = bound[1], fill.typeName != "NoneType", !isLonger, elements.count % count != 0 {
                part.append(fill)
            }
            slices.append(try .list(part))
            start = end
        }
        return try .iterator(slices)
    }

    @Sendable private static func attribute(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let name = try interpreter.string(try arguments.bind("attr", ["name"], required: 1)[0]!).string
        if case .dict = value, !interpreter.hasMethod(name, value) {
            return .undefined(.attribute(name, typeName: "dict object"))
        }
        return try interpreter.attribute(name, of: value)
    }
}

extension Interpreter {
    /// Follows a dotted path such as `function.name`, as in the `attribute` argument of filters.
    func path(_ attribute: Value?, of value: Value, fallback: Value? = nil) throws(JinjaError) -> Value {
        guard let attribute, attribute.typeName != "NoneType" else { return value }
        if attribute.asInteger != nil { return try item(attribute, of: value) }
        var result = value
        for part in try string(attribute).string.split(separator: ".", omittingEmptySubsequences: false) {
            result = try item(Int(part).map { .int($0) } ?? .string(String(part)), of: result)
            if let fallback, case .undefined = result { result = fallback }
        }
        return result
    }
}
