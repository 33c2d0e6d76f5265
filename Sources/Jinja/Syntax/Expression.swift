// The syntax tree of expressions.

/// An expression and how deep its tree is, which the parser bounds so that recursion over it is safe.
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

/// The arguments as written.
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

/// A filter by name; without a function it fails when it runs (an unknown name in a branch that may never run).
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
