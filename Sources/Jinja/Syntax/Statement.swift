// The syntax tree of statements, and the parsed template.

struct ParsedTemplate: Sendable {
    /// The variable names of the template; expressions and scopes use their indices.
    var names: [String]
    /// The string literals of its expressions.
    var literals: Set<String>
    var body: [Statement]
}

/// Names with a special meaning, at fixed indices.
enum SpecialName {
    static let all = ["loop", "caller", "varargs", "kwargs"]
    static let loop = 0
    static let caller = 1
    static let varargs = 2
    static let kwargs = 3
}

struct Statement: Sendable {
    let line: Int
    let node: Node

    indirect enum Node: Sendable {
        case text(Text)
        case output(Expression)
        case branches([Branch], otherwise: [Statement])
        case loop(ForLoop)
        case set(Target, Expression)
        case setBlock(Target, [FilterCall], [Statement])
        case macro(MacroDefinition)
        case callBlock(MacroDefinition, Expression, ArgumentList)
        case filterBlock([FilterCall], [Statement])
        case with([(target: Target, value: Expression)], [Statement])
        case generation([Statement])
        case breakLoop
        case continueLoop
    }
}

struct Branch: Sendable {
    let line: Int
    let condition: Expression
    let body: [Statement]
}

struct ForLoop: Sendable {
    let target: Target
    let iterable: Expression
    let filter: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]
}

/// The target of an assignment.
indirect enum Target: Sendable {
    case name(Int)
    case attribute(namespace: Int, String)
    case tuple([Target])
}

/// A macro, or the body of a call block.
struct MacroDefinition: Sendable {
    let name: Int
    let parameters: [Int]
    /// The defaults of the last parameters.
    let defaults: [Expression]
    let body: [Statement]
    let usesVarargs: Bool
    let usesKwargs: Bool
    let usesCaller: Bool
}
