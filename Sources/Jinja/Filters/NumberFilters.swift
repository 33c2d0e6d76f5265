// Filters that return numbers.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum NumberFilters {
    static let functions: [String: FilterFunction] = [
        "int": int, "float": float, "abs": abs, "round": round, "sum": sum,
    ]

    @Sendable private static func int(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("int", ["default", "base"])
        let fallback = bound[0] ?? .int(0)
        switch value {
        case .undefined(let undefined): throw undefined.error
        case .int, .bool: return .int(value.asInteger!)
        case .float(let number): return Int(exactly: number.rounded(.towardZero)).map { .int($0) } ?? fallback
        case .string(let text):
            let base = try interpreter.optionalInteger(bound[1]) ?? 10
            let trimmed = text.trimmed().string
            if let number = parseInteger(trimmed, base: base) { return .int(number) }
            return parseFloat(trimmed).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .int($0) } ?? fallback
        default: return fallback
        }
    }

    /// Python's `int(text, base)` without the white space; nil where it raises.
    static func parseInteger(_ text: String, base: Int) -> Int? {
        guard (2...36).contains(base) else { return nil }
        var digits = text[...]
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits = digits.dropFirst() }
        let prefixes = [16: "0x", 8: "0o", 2: "0b"]
        if let prefix = prefixes[base], digits.lowercased().hasPrefix(prefix) { digits = digits.dropFirst(2) }
        guard let first = digits.first, first.isLetter || first.isNumber, !digits.contains("__"), !digits.hasSuffix("_")
        else { return nil }
        return Int((isNegative ? "-" : "") + digits.filter { $0 != "_" }, radix: base)
    }

    /// Python's `float(text)` without the white space; nil where it raises.
    static func parseFloat(_ text: String) -> Double? {
        let lowered = text.lowercased()
        guard !lowered.contains("x"), !lowered.contains("p"), !lowered.hasPrefix("_"), !lowered.hasSuffix("_"),
            !lowered.contains("("), !lowered.contains("__")
        else { return nil }
        return Double(lowered.filter { $0 != "_" })
    }

    @Sendable private static func float(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let fallback = try arguments.bind("float", ["default"])[0] ?? .float(0)
        if case .undefined(let undefined) = value { throw undefined.error }
        if case .string(let text) = value { return parseFloat(text.trimmed().string).map { .float($0) } ?? fallback }
        return value.asDouble.map { .float($0) } ?? fallback
    }

    @Sendable private static func abs(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("abs")
        if let number = value.asInteger { return number < 0 ? try interpreter.negated(.int(number)) : .int(number) }
        if case .float(let number) = value { return .float(number.magnitude) }
        if case .undefined(let undefined) = value { throw undefined.error }
        throw JinjaError(.type, "bad operand type for abs(): '\(value.typeName)'")
    }

    @Sendable private static func round(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("round", ["precision", "method"])
        let precision = try interpreter.optionalInteger(bound[0]) ?? 0
        let method = try bound[1].map { value throws(JinjaError) in try interpreter.string(value).string } ?? "common"
        if case .undefined(let undefined) = value { throw undefined.error }
        guard let number = value.asDouble else {
            throw JinjaError(.type, "round needs a number, not \(value.typeName)")
        }
        switch method {
        case "common":
            if let integer = value.asInteger, precision >= 0 { return .int(integer) }
            let rounded = rounded(number, precision)
            return value.asInteger == nil ? .float(rounded) : .int(try interpreter.truncated(rounded))
        case "ceil", "floor":
            let scale = pow(10, Double(precision))
            return .float((number * scale).rounded(method == "ceil" ? .up : .down) / scale)
        default: throw JinjaError(.value, "the method of round must be common, ceil or floor")
        }
    }

    /// Rounds half to even on the exact decimal value, as C's printf does.
    private static func rounded(_ value: Double, _ precision: Int) -> Double {
        if !value.isFinite || precision > 300 { return value }
        if precision < 0 {
            let scale = pow(10, Double(-precision))
            return (value / scale).rounded(.toNearestOrEven) * scale
        }
        var buffer = [CChar](repeating: 0, count: 800)
        _ = withVaList([Int32(precision), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
        return strtod(buffer, nil)
    }

    @Sendable private static func sum(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("sum", ["attribute", "start"])
        var total = bound[1] ?? .int(0)
        if case .string = total { throw JinjaError(.type, "sum() cannot add strings; use join") }
        for element in try interpreter.elements(of: value) {
            total = try interpreter.apply(.add, total, try interpreter.path(bound[0], of: element))
        }
        return total
    }
}
