// Evaluates expressions. Each kind has a function of its own, so that a level of recursion uses little stack.

extension Interpreter {
    func evaluate(_ expression: Expression) throws(JinjaError) -> Value {
        try enter()
        defer { leave() }
        switch expression.node {
        case .constant(let constant): return value(of: constant)
        case .name(let name): return try lookUp(name)
        case .attribute(let base, let name): return try attribute(name, of: try evaluate(base))
        case .item(let base, let key): return try item(try evaluate(key), of: try evaluate(base))
        case .slice(let base, let start, let stop, let step):
            return try evaluateSlice(of: base, start, stop, step)
        case .call(let function, let list): return try evaluateCall(function, list)
        case .filter(let operand, let filter): return try apply(filter, to: try evaluate(operand))
        case .test(let operand, let test): return .bool(try evaluate(test, of: try evaluate(operand)))
        case .and(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? try evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? value : try evaluate(right)
        case .not(let operand): return .bool(!(try evaluate(operand).isTrue))
        case .comparison(let first, let rest): return .bool(try evaluateComparison(first, rest))
        case .conditional(let condition, let then, let otherwise):
            return try evaluateConditional(condition, then, otherwise)
        default: return try evaluateComposed(expression.node)
        }
    }

    private func evaluateComposed(_ node: Expression.Node) throws(JinjaError) -> Value {
        switch node {
        case .binary(let binary, let left, let right):
            return try apply(binary, try evaluate(left), try evaluate(right))
        case .concatenation(let parts): return try evaluateConcatenation(parts)
        case .negative(let operand): return try negated(try evaluate(operand))
        case .positive(let operand): return try positive(try evaluate(operand))
        case .list(let elements): return try .list(try evaluate(elements))
        case .tuple(let elements): return try .tuple(try evaluate(elements))
        case .dict(let members): return try evaluateDict(members)
        default: preconditionFailure("evaluate handles every other node")
        }
    }

    private func value(of constant: Constant) -> Value {
        switch constant {
        case .null: .null
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        case .string(let text): .string(text)
        }
    }

    private func evaluate(_ expressions: [Expression]) throws(JinjaError) -> [Value] {
        try spend(elements: expressions.count)
        var values: [Value] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private func evaluateDict(_ members: [(key: Expression, value: Expression)]) throws(JinjaError) -> Value {
        try spend(elements: members.count)
        var pairs: [(Value, Value)] = []
        for member in members { pairs.append((try evaluate(member.key), try evaluate(member.value))) }
        return .dict(try Dict(pairs))
    }

    private func evaluateConcatenation(_ parts: [Expression]) throws(JinjaError) -> Value {
        var result = Text()
        for part in parts {
            let text = try text(of: try evaluate(part))
            try spend(textBytes: result.utf8Count + text.utf8Count)
            result.append(text)
        }
        return .string(result)
    }

    private func evaluateConditional(
        _ condition: Expression, _ then: Expression, _ otherwise: Expression?
    ) throws(JinjaError) -> Value {
        if try evaluate(condition).isTrue { return try evaluate(then) }
        if let otherwise { return try evaluate(otherwise) }
        return .undefined(.missing("the inline 'if' was false and has no 'else'"))
    }

    private func evaluateComparison(
        _ first: Expression, _ rest: [(Comparison, Expression)]
    ) throws(JinjaError) -> Bool {
        var left = try evaluate(first)
        for (comparison, expression) in rest {
            let right = try evaluate(expression)
            guard try compare(left, comparison, right) else { return false }
            left = right
        }
        return true
    }

    // MARK: Calls, filters, tests

    func evaluate(_ list: ArgumentList) throws(JinjaError) -> Arguments {
        var arguments = Arguments()
        if list.isEmpty { return arguments }
        for expression in list.positional { arguments.positional.append(try evaluate(expression)) }
        if let spread = list.spread {
            arguments.positional += try elements(of: try evaluate(spread))
        }
        for (name, expression) in list.named { arguments.named.append((name, try evaluate(expression))) }
        if let spread = list.namedSpread { try append(try evaluate(spread), to: &arguments) }
        return arguments
    }

    private func append(_ spread: Value, to arguments: inout Arguments) throws(JinjaError) {
        guard case .dict(let dict) = spread else {
            throw JinjaError(.type, "the argument after ** must be a mapping, not \(spread.typeName)")
        }
        for (key, value) in zip(dict.keys, dict.values) {
            guard case .string(let name) = key else { throw JinjaError(.type, "keywords must be strings") }
            if arguments.named.contains(where: { $0.name == name.string }) {
                throw JinjaError(.type, "two values for the keyword argument '\(name.string)'")
            }
            arguments.named.append((name.string, value))
        }
    }

    private func evaluateCall(_ function: Expression, _ list: ArgumentList) throws(JinjaError) -> Value {
        try spend(8)
        // `value.method(...)` is called without making a bound method first.
        if case .attribute(let base, let name) = function.node {
            let receiver = try evaluate(base)
            if hasMethod(name, receiver) { return try callMethod(name, of: receiver, try evaluate(list)) }
            return try call(try attribute(name, of: receiver), try evaluate(list))
        }
        return try call(try evaluate(function), try evaluate(list))
    }

    func call(_ function: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch function {
        case .object(let object): return try object.call(arguments, self)
        case .undefined(let undefined): throw undefined.error
        default: throw JinjaError(.type, "'\(function.typeName)' object is not callable")
        }
    }

    func apply(_ filter: FilterCall, to value: Value) throws(JinjaError) -> Value {
        guard let function = filter.function else {
            throw JinjaError(.unsupported, "there is no filter named '\(filter.name)'")
        }
        try spend(8)
        return try function(self, value, try evaluate(filter.arguments))
    }

    private func evaluate(_ test: TestCall, of value: Value) throws(JinjaError) -> Bool {
        guard let function = test.function else {
            throw JinjaError(.unsupported, "there is no test named '\(test.name)'")
        }
        return try function(self, value, try evaluate(test.arguments))
    }
}
