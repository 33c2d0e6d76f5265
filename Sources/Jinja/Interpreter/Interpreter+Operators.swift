// Arithmetic and sequence operators with Python's rules: floor division and modulo, true division. Integer overflow is
// an error, since there are no big integers.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension Interpreter {
    func apply(_ binary: BinaryOperator, _ left: Value, _ right: Value) throws(JinjaError) -> Value {
        if case .undefined(let undefined) = left { throw undefined.error }
        if case .string(let format) = left, binary == .modulo {
            return .string(try percentFormat(format, right))
        }
        if case .undefined(let undefined) = right { throw undefined.error }
        if let left = left.asInteger, let right = right.asInteger { return try apply(binary, left, right) }
        if let left = left.asDouble, let right = right.asDouble { return .float(try apply(binary, left, right)) }
        switch (binary, left, right) {
        case (.add, .string(let left), .string(let right)):
            return .string(try sum(left, right))
        case (.add, .list(let left), .list(let right)):
            try spend(elements: left.values.count + right.values.count)
            return try .list(left.values + right.values)
        case (.add, .tuple(let left), .tuple(let right)):
            try spend(elements: left.values.count + right.values.count)
            return try .tuple(left.values + right.values)
        case (.multiply, _, _):
            if let times = right.asInteger, let product = try repeated(left, times) { return product }
            if let times = left.asInteger, let product = try repeated(right, times) { return product }
        default: break
        }
        throw JinjaError(
            .type, "unsupported operand types for \(binary.rawValue): '\(left.typeName)' and '\(right.typeName)'")
    }

    private func repeated(_ value: Value, _ times: Int) throws(JinjaError) -> Value? {
        let times = max(times, 0)
        switch value {
        case .string(let text):
            let (bytes, overflow) = text.utf8Count.multipliedReportingOverflow(by: times)
            try spend(textBytes: overflow ? .max : bytes)
            let product =
                text.isUniform
                ? Text(String(repeating: text.string, count: times), author: text.author)
                : Text().joining(Array(repeating: text, count: times))
            return .string(product.marked(asMarkup: text.isMarkup))
        case .list(let items): return try .list(try repeated(items, times))
        case .tuple(let items): return try .tuple(try repeated(items, times))
        default: return nil
        }
    }

    private func repeated(_ items: Items, _ times: Int) throws(JinjaError) -> [Value] {
        let (count, overflow) = items.values.count.multipliedReportingOverflow(by: times)
        try spend(elements: overflow ? -1 : count)
        return Array([[Value]](repeating: items.values, count: items.values.isEmpty ? 0 : times).joined())
    }

    // MARK: Numbers

    private func apply(_ binary: BinaryOperator, _ left: Int, _ right: Int) throws(JinjaError) -> Value {
        switch binary {
        case .add: return .int(try exact(left.addingReportingOverflow(right)))
        case .subtract: return .int(try exact(left.subtractingReportingOverflow(right)))
        case .multiply: return .int(try exact(left.multipliedReportingOverflow(by: right)))
        case .divide:
            if right == 0 { throw JinjaError(.value, "division by zero") }
            return .float(Double(left) / Double(right))
        case .floorDivide:
            if right == 0 { throw JinjaError(.value, "integer division or modulo by zero") }
            let quotient = try exact(left.dividedReportingOverflow(by: right))
            return .int(left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient)
        case .modulo:
            if right == 0 { throw JinjaError(.value, "integer division or modulo by zero") }
            if right == -1 { return .int(0) }
            let remainder = left % right
            return .int(remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder)
        case .power: return try power(left, right)
        }
    }

    func exact(_ result: (partialValue: Int, overflow: Bool)) throws(JinjaError) -> Int {
        if result.overflow { throw JinjaError(.value, "an integer does not fit into 64 bits") }
        return result.partialValue
    }

    private func power(_ base: Int, _ exponent: Int) throws(JinjaError) -> Value {
        if exponent < 0 {
            if base == 0 { throw JinjaError(.value, "0 cannot be raised to a negative power") }
            return .float(pow(Double(base), Double(exponent)))
        }
        if base == 0 || base == 1 { return .int(exponent == 0 ? 1 : base) }
        if base == -1 { return .int(exponent % 2 == 0 ? 1 : -1) }
        if exponent >= Int.bitWidth { _ = try exact((0, true)) }
        var result = 1
        for _ in 0..<exponent { result = try exact(result.multipliedReportingOverflow(by: base)) }
        return .int(result)
    }

    private func apply(_ binary: BinaryOperator, _ left: Double, _ right: Double) throws(JinjaError) -> Double {
        switch binary {
        case .add: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .divide:
            if right == 0 { throw JinjaError(.value, "float division by zero") }
            return left / right
        case .floorDivide:
            let remainder = try apply(.modulo, left, right)
            let quotient = (left - remainder) / right
            return quotient.rounded()
        case .modulo:
            if right == 0 { throw JinjaError(.value, "float modulo by zero") }
            let remainder = fmod(left, right)
            if remainder == 0 { return right < 0 ? -0.0 : 0.0 }
            return (remainder < 0) != (right < 0) ? remainder + right : remainder
        case .power:
            if left == 0, right < 0 { throw JinjaError(.value, "0.0 cannot be raised to a negative power") }
            let result = pow(left, right)
            if result.isNaN, !left.isNaN, !right.isNaN { throw JinjaError(.unsupported, "a complex number") }
            if result.isInfinite, left.isFinite, right.isFinite { throw JinjaError(.value, "result too large") }
            return result
        }
    }

    func negated(_ value: Value) throws(JinjaError) -> Value {
        if let integer = value.asInteger { return .int(try exact(0.subtractingReportingOverflow(integer))) }
        if case .float(let number) = value { return .float(-number) }
        if case .undefined(let undefined) = value { throw undefined.error }
        throw JinjaError(.type, "bad operand type for unary -: '\(value.typeName)'")
    }

    func positive(_ value: Value) throws(JinjaError) -> Value {
        if let integer = value.asInteger { return .int(integer) }
        if case .float = value { return value }
        if case .undefined(let undefined) = value { throw undefined.error }
        throw JinjaError(.type, "bad operand type for unary +: '\(value.typeName)'")
    }
}

extension Value {
    /// The value of any number as a double.
    var asDouble: Double? {
        if case .float(let value) = self { return value }
        return asInteger.map(Double.init)
    }
}
