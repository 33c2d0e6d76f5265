// The syntax tree of expressions.

/// An expression and the depth of its tree. The parser limits the depth, so that recursion over the tree is safe.
struct Expression: Sendable {
    let node: Node
    let depth: Int

    indirect enum Node: Sendable {
        case constant(Constant)
        /// An index into ``ParsedTemplate/names``.
        case name(Int)
        case tuple([Expression])
        case list([Expression])
        case dict([(key: Expression, value: Expression)])
        case attribute(Expression, String)
        case item(Expression, Expression)
        case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
        case call(Expression, ArgumentList)
        case filter(Expression, FilterCall)
        case test(Expression, TestCall)
        case not(Expression)
        case negative(Expression)
        case positive(Expression)
        case binary(BinaryOperator, Expression, Expression)
        case concatenation([Expression])
        case and(Expression, Expression)
        case or(Expression, Expression)
        case comparison(Expression, [(Comparison, Expression)])
        case conditional(condition: Expression, then: Expression, otherwise: Expression?)
    }
}

enum Constant: Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
}

enum BinaryOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", modulo = "%", power = "**"
}

enum Comparison: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case isIn = "in", isNotIn = "not in"
}

/// The arguments of a call, not evaluated yet.
struct ArgumentList: Sendable {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
    /// `*args`
    var spread: Expression?
    /// `**kwargs`
    var namedSpread: Expression?

    var isEmpty: Bool { positional.isEmpty && named.isEmpty && spread == nil && namedSpread == nil }

    var depth: Int {
        var deepest = 0
        for argument in positional { deepest = max(deepest, argument.depth) }
        for argument in named { deepest = max(deepest, argument.value.depth) }
        return max(deepest, spread?.depth ?? 0, namedSpread?.depth ?? 0)
    }
}

/// A call of a filter. If the name is unknown, it has no function and fails only when it is executed, which may never
/// happen.
struct FilterCall: Sendable {
    let name: String
    let function: FilterFunction?
    let arguments: ArgumentList
}

struct TestCall: Sendable {
    let name: String
    let function: TestFunction?
    let arguments: ArgumentList
}
