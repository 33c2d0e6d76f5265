// Operators, by precedence from loosest (`if else`) to tightest (unary).

extension Parser {
    /// Parses expressions separated by commas, which make a tuple.
    /// - Parameter end: a name that ends the tuple, such as `recursive`.
    mutating func parseTuple(
        allowsConditional: Bool = true, end: String? = nil, allowsEmpty: Bool = false
    ) throws(JinjaError) -> Expression {
        var elements: [Expression] = []
        var isTuple = false
        while !isTupleEnd(end) {
            elements.append(
                allowsConditional
                    ? try parseExpression() : try nested { parser throws(JinjaError) in try parser.parseOr() })
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if let only = elements.first { return only }
            if !allowsEmpty { throw unexpected("an expression") }
        }
        return try make(.tuple(elements), depth: elements.depth)
    }

    private func isTupleEnd(_ end: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(.rightParenthesis), .end: true
        case .name(let name): name == end
        default: false
        }
    }

    mutating func parseExpression() throws(JinjaError) -> Expression {
        try nested { parser throws(JinjaError) in try parser.parseConditional() }
    }

    private mutating func nested(
        _ parse: (inout Parser) throws(JinjaError) -> Expression
    ) throws(JinjaError) -> Expression {
        try enter()
        defer { depth -= 1 }
        return try parse(&self)
    }

    private mutating func parseConditional() throws(JinjaError) -> Expression {
        var result = try parseOr()
        while skip(name: "if") {
            let condition = try parseOr()
            let otherwise = skip(name: "else") ? try parseExpression() : nil
            result = try make(
                .conditional(condition: condition, then: result, otherwise: otherwise), condition, result, otherwise)
        }
        return result
    }

    private mutating func parseOr() throws(JinjaError) -> Expression {
        var left = try parseAnd()
        while skip(name: "or") {
            let right = try parseAnd()
            left = try make(.or(left, right), left, right)
        }
        return left
    }

    private mutating func parseAnd() throws(JinjaError) -> Expression {
        var left = try parseNot()
        while skip(name: "and") {
            let right = try parseNot()
            left = try make(.and(left, right), left, right)
        }
        return left
    }

    private mutating func parseNot() throws(JinjaError) -> Expression {
        guard skip(name: "not") else { return try parseComparison() }
        let operand = try nested { parser throws(JinjaError) in try parser.parseNot() }
        return try make(.not(operand), operand)
    }

    private mutating func parseComparison() throws(JinjaError) -> Expression {
        let first = try parseSum()
        var rest: [(Comparison, Expression)] = []
        while let comparison = skipComparison() { rest.append((comparison, try parseSum())) }
        if rest.isEmpty { return first }
        return try make(.comparison(first, rest), depth: max(first.depth, rest.map(\.1).depth))
    }

    private mutating func skipComparison() -> Comparison? {
        switch current.kind {
        case .symbol(let symbol):
            guard let comparison = Comparison(rawValue: symbol.rawValue) else { return nil }
            advance()
            return comparison
        case .name("in"):
            advance()
            return .isIn
        case .name("not") where peek().kind == .name("in"):
            advance()
            advance()
            return .isNotIn
        default: return nil
        }
    }

    private mutating func parseSum() throws(JinjaError) -> Expression {
        try parseBinary([.plus, .minus]) { parser throws(JinjaError) in try parser.parseConcatenation() }
    }

    private mutating func parseConcatenation() throws(JinjaError) -> Expression {
        var parts = [try parseProduct()]
        while skip(.tilde) { parts.append(try parseProduct()) }
        return parts.count == 1 ? parts[0] : try make(.concatenation(parts), depth: parts.depth)
    }

    private mutating func parseProduct() throws(JinjaError) -> Expression {
        try parseBinary([.multiply, .divide, .floorDivide, .modulo]) { parser throws(JinjaError) in
            try parser.parseBinary([.power]) { parser throws(JinjaError) in try parser.parseUnary() }
        }
    }

    /// Left-associative operators, including `**` as in jinja2.
    private mutating func parseBinary(
        _ symbols: [Token.Symbol], operand: (inout Parser) throws(JinjaError) -> Expression
    ) throws(JinjaError) -> Expression {
        var left = try operand(&self)
        while case .symbol(let symbol) = current.kind, symbols.contains(symbol),
            let binary = BinaryOperator(rawValue: symbol.rawValue)
        {
            advance()
            let right = try operand(&self)
            left = try make(.binary(binary, left, right), left, right)
        }
        return left
    }

    private mutating func parseUnary(withFilters: Bool = true) throws(JinjaError) -> Expression {
        var result: Expression
        if skip(.minus) {
            let operand = try nested { parser throws(JinjaError) in try parser.parseUnary(withFilters: false) }
            result = try make(.negative(operand), operand)
        } else if skip(.plus) {
            let operand = try nested { parser throws(JinjaError) in try parser.parseUnary(withFilters: false) }
            result = try make(.positive(operand), operand)
        } else {
            result = try parsePrimary()
        }
        result = try parsePostfix(result)
        return withFilters ? try parseFiltersAndTests(result) : result
    }
}

extension [Expression] {
    var depth: Int { reduce(0) { Swift.max($0, $1.depth) } }
}
