// The parser's token stream and top level. The extensions in the other files parse statements and expressions.

struct Parser {
    /// The limit for the depth of the syntax tree, and so for all recursion over it.
    static let maximumDepth = 120

    private let tokens: [Token]
    private var position = 0
    private var nameIndices: [String: Int] = [:]
    private(set) var names: [String] = []
    /// The string literals of expressions.
    var literals: Set<String> = []
    /// How often each name has been read so far. Macros check whether their bodies use `varargs`, `kwargs` and
    /// `caller`.
    private(set) var nameUses: [Int] = []
    /// Nesting of brackets and blocks around the current token.
    var depth = 0
    /// Nesting of `for` loops within the current macro, and of `if` branches.
    var loopDepth = 0
    var branchDepth = 0

    init(source: String) throws(JinjaError) {
        tokens = try Lexer.tokens(of: source)
        for name in SpecialName.all { _ = index(of: name) }
        for index in names.indices { nameUses[index] = 0 }
    }

    mutating func parseTemplate() throws(JinjaError) -> ParsedTemplate {
        let body = try parseBody(until: [])
        return ParsedTemplate(names: names, literals: literals, body: body)
    }

    // MARK: Tokens

    var current: Token { tokens[position] }
    var line: Int { tokens[position].line }

    func peek() -> Token { tokens[min(position + 1, tokens.count - 1)] }

    mutating func advance() {
        if position < tokens.count - 1 { position += 1 }
    }

    func isSymbol(_ symbol: Token.Symbol) -> Bool { current.kind == .symbol(symbol) }

    func isName(_ name: String) -> Bool {
        if case .name(let current) = current.kind { return current == name }
        return false
    }

    mutating func skip(_ symbol: Token.Symbol) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func skip(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: Token.Symbol) throws(JinjaError) {
        guard skip(symbol) else { throw unexpected("'\(symbol.rawValue)'") }
    }

    mutating func expect(name: String) throws(JinjaError) {
        guard skip(name: name) else { throw unexpected("'\(name)'") }
    }

    mutating func expectBlockEnd() throws(JinjaError) {
        guard current.kind == .blockEnd else { throw unexpected("'%}'") }
        advance()
    }

    mutating func expectName() throws(JinjaError) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("a name") }
        advance()
        return name
    }

    func unexpected(_ wanted: String) -> JinjaError {
        JinjaError(.syntax, "expected \(wanted), found \(current.description)", line: line)
    }

    // MARK: Names and depth

    /// The index of a name. Counts one use.
    mutating func index(of name: String) -> Int {
        if let known = nameIndices[name] {
            nameUses[known] += 1
            return known
        }
        nameIndices[name] = names.count
        names.append(name)
        nameUses.append(1)
        return names.count - 1
    }

    /// Enters a nested construct; the caller leaves it with `depth -= 1`.
    mutating func enter() throws(JinjaError) {
        depth += 1
        if depth > Self.maximumDepth { throw tooDeep }
    }

    /// Makes an expression one level above `children`.
    func make(_ node: Expression.Node, _ children: Expression?...) throws(JinjaError) -> Expression {
        try make(node, depth: children.reduce(0) { max($0, $1?.depth ?? 0) })
    }

    func make(_ node: Expression.Node, depth childDepth: Int) throws(JinjaError) -> Expression {
        if childDepth >= Self.maximumDepth { throw tooDeep }
        return Expression(node: node, depth: childDepth + 1)
    }

    private var tooDeep: JinjaError {
        JinjaError(.limit, "expressions or blocks are nested more than \(Self.maximumDepth) deep", line: line)
    }
}
