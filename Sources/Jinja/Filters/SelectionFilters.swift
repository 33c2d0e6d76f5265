// `map`, `select`, `reject` and their attribute forms.

enum SelectionFilters {
    static let functions: [String: FilterFunction] = [
        "map": map, "select": selection("select", keeps: true, byAttribute: false),
        "reject": selection("reject", keeps: false, byAttribute: false),
        "selectattr": selection("selectattr", keeps: true, byAttribute: true),
        "rejectattr": selection("rejectattr", keeps: false, byAttribute: true),
    ]

    private static func selection(_ name: String, keeps: Bool, byAttribute: Bool) -> FilterFunction {
        { interpreter, value, arguments throws(JinjaError) in
            var rest = arguments
            var attribute: Value?
            if byAttribute {
                guard !rest.positional.isEmpty else { throw JinjaError(.type, "\(name) needs an attribute") }
                attribute = rest.positional.removeFirst()
            }
            let test = try takeTest(name, from: &rest, interpreter)
            var kept: [Value] = []
            for element in try elements(of: value, interpreter) {
                try interpreter.spend(elements: 1)
                let subject = try interpreter.path(attribute, of: element)
                let passes = try test.map { test throws(JinjaError) in try test(interpreter, subject, rest) }
                if (passes ?? subject.isTrue) == keeps { kept.append(element) }
            }
            return try .iterator(kept)
        }
    }

    /// As in jinja2, any falsy value counts as empty here, even `None` and 0.
    private static func elements(of value: Value, _ interpreter: Interpreter) throws(JinjaError) -> [Value] {
        value.isTrue ? try interpreter.elements(of: value) : []
    }

    /// The test named by the first argument; nil, which tests for truth, if there is none.
    private static func takeTest(
        _ name: String, from arguments: inout Arguments, _ interpreter: Interpreter
    ) throws(JinjaError) -> TestFunction? {
        guard !arguments.positional.isEmpty else { return nil }
        let test = try interpreter.string(arguments.positional.removeFirst()).string
        guard let function = TestTable.functions[test] else {
            throw JinjaError(.unsupported, "\(name): there is no test named '\(test)'")
        }
        return function
    }

    @Sendable private static func map(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let elements = try elements(of: value, interpreter)
        try interpreter.spend(elements: elements.count)
        var mapped: [Value] = []
        if arguments.positional.isEmpty {
            let bound = try arguments.bind("map", ["attribute", "default"], required: 1)
            for element in elements {
                mapped.append(try interpreter.path(bound[0], of: element, fallback: bound[1]))
            }
            return try .iterator(mapped)
        }
        var rest = arguments
        let name = try interpreter.string(rest.positional.removeFirst()).string
        guard let filter = FilterTable.functions[name] else {
            throw JinjaError(.unsupported, "map: there is no filter named '\(name)'")
        }
        for element in elements { mapped.append(try filter(interpreter, element, rest)) }
        return try .iterator(mapped)
    }
}
