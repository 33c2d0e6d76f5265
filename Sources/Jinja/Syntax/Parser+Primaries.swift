// Literals, names, and what follows them: attributes, subscripts, calls, filters and tests.

extension Parser {
    mutating func parsePrimary() throws(JinjaError) -> Expression {
        switch current.kind {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try make(.constant(.bool(true)))
            case "false", "False": return try make(.constant(.bool(false)))
            case "none", "None": return try make(.constant(.null))
            default: return try make(.name(index(of: name)))
            }
        case .string(let first):
            var text = first
            advance()
            while case .string(let next) = current.kind {
                text += next
                advance()
            }
            literals.insert(text)
            return try make(.constant(.string(Text(text))))
        case .integer(let value):
            advance()
            return try make(.constant(.int(value)))
        case .float(let value):
            advance()
            return try make(.constant(.float(value)))
        case .symbol(.leftParenthesis):
            advance()
            let inner = try parseTuple(allowsEmpty: true)
            try expect(.rightParenthesis)
            return inner
        case .symbol(.leftBracket): return try parseList()
        case .symbol(.leftBrace): return try parseDict()
        default: throw unexpected("an expression")
        }
    }

    private mutating func parseList() throws(JinjaError) -> Expression {
        advance()
        var elements: [Expression] = []
        while !isSymbol(.rightBracket) {
            if !elements.isEmpty { try expect(.comma) }
            if isSymbol(.rightBracket) { break }
            elements.append(try parseExpression())
        }
        try expect(.rightBracket)
        return try make(.list(elements), depth: elements.depth)
    }

    private mutating func parseDict() throws(JinjaError) -> Expression {
        advance()
        var members: [(key: Expression, value: Expression)] = []
        while !isSymbol(.rightBrace) {
            if !members.isEmpty { try expect(.comma) }
            if isSymbol(.rightBrace) { break }
            let key = try parseExpression()
            try expect(.colon)
            members.append((key, try parseExpression()))
        }
        try expect(.rightBrace)
        return try make(.dict(members), depth: max(members.map(\.key).depth, members.map(\.value).depth))
    }

    mutating func parsePostfix(_ expression: Expression) throws(JinjaError) -> Expression {
        var result = expression
        while case .symbol(let symbol) = current.kind {
            switch symbol {
            case .dot: result = try parseAttribute(of: result)
            case .leftBracket: result = try parseSubscript(of: result)
            case .leftParenthesis: result = try parseCall(of: result)
            default: return result
            }
        }
        return result
    }

    private mutating func parseAttribute(of value: Expression) throws(JinjaError) -> Expression {
        advance()
        defer { advance() }
        switch current.kind {
        case .name(let name): return try make(.attribute(value, name), value)
        case .integer(let index): return try make(.item(value, try make(.constant(.int(index)))), value)
        default: throw unexpected("a name or a number")
        }
    }

    private mutating func parseSubscript(of value: Expression) throws(JinjaError) -> Expression {
        advance()
        var keys: [Expression] = []
        while !isSymbol(.rightBracket) {
            if !keys.isEmpty { try expect(.comma) }
            let key = isSymbol(.colon) ? nil : try parseExpression()
            if isSymbol(.colon) {
                guard keys.isEmpty else { throw unexpected("',' or ']'") }
                return try parseSlice(of: value, start: key)
            }
            if let key { keys.append(key) }
        }
        try expect(.rightBracket)
        if keys.count == 1 { return try make(.item(value, keys[0]), value, keys[0]) }
        let tuple = try make(.tuple(keys), depth: keys.depth)
        return try make(.item(value, tuple), value, tuple)
    }

    private mutating func parseSlice(of value: Expression, start: Expression?) throws(JinjaError) -> Expression {
        try expect(.colon)
        let stop = try parseSliceBound()
        let step = skip(.colon) ? try parseSliceBound() : nil
        try expect(.rightBracket)
        return try make(.slice(value, start: start, stop: stop, step: step), value, start, stop, step)
    }

    private mutating func parseSliceBound() throws(JinjaError) -> Expression? {
        isSymbol(.colon) || isSymbol(.rightBracket) || isSymbol(.comma) ? nil : try parseExpression()
    }

    private mutating func parseCall(of function: Expression) throws(JinjaError) -> Expression {
        let arguments = try parseArguments()
        return try make(.call(function, arguments), depth: max(function.depth, arguments.depth))
    }

    private mutating func parseArguments() throws(JinjaError) -> ArgumentList {
        var list = ArgumentList()
        try expect(.leftParenthesis)
        while !isSymbol(.rightParenthesis) {
            if !list.isEmpty {
                try expect(.comma)
                if isSymbol(.rightParenthesis) { break }
            }
            try parseArgument(into: &list)
        }
        try expect(.rightParenthesis)
        return list
    }

    private mutating func parseArgument(into list: inout ArgumentList) throws(JinjaError) {
        let isPlain = list.spread == nil && list.namedSpread == nil
        if isSymbol(.multiply), isPlain {
            advance()
            list.spread = try parseExpression()
        } else if isSymbol(.power), list.namedSpread == nil {
            advance()
            list.namedSpread = try parseExpression()
        } else if case .name(let name) = current.kind, peek().kind == .symbol(.assign), list.namedSpread == nil {
            advance()
            advance()
            if list.named.contains(where: { $0.name == name }) {
                throw JinjaError(.syntax, "the argument '\(name)' is given twice", line: line)
            }
            list.named.append((name, try parseExpression()))
        } else if isPlain, list.named.isEmpty {
            list.positional.append(try parseExpression())
        } else {
            throw JinjaError(.syntax, "this argument cannot stand after the ones before it", line: line)
        }
    }

    // MARK: Filters and tests

    mutating func parseFiltersAndTests(_ expression: Expression) throws(JinjaError) -> Expression {
        var result = expression
        while true {
            if skip(.pipe) {
                let filter = try parseFilterCall()
                result = try make(.filter(result, filter), depth: max(result.depth, filter.arguments.depth))
            } else if skip(name: "is") {
                result = try parseTest(of: result)
            } else if isSymbol(.leftParenthesis) {
                result = try parseCall(of: result)
            } else {
                return result
            }
        }
    }

    /// Parses a filter's name and arguments, after `|`.
    mutating func parseFilterCall() throws(JinjaError) -> FilterCall {
        let line = line
        let name = try parseDottedName()
        let function = FilterTable.functions[name]
        if function == nil, branchDepth == 0 {
            throw JinjaError(.unsupported, "there is no filter named '\(name)'", line: line)
        }
        let arguments = isSymbol(.leftParenthesis) ? try parseArguments() : ArgumentList()
        return FilterCall(name: name, function: function, arguments: arguments)
    }

    private mutating func parseTest(of value: Expression) throws(JinjaError) -> Expression {
        let line = line
        let isNegated = skip(name: "not")
        let name = try parseDottedName()
        let function = TestTable.functions[name]
        if function == nil, branchDepth == 0 {
            throw JinjaError(.unsupported, "there is no test named '\(name)'", line: line)
        }
        var arguments = ArgumentList()
        if isSymbol(.leftParenthesis) {
            arguments = try parseArguments()
        } else if startsTestArgument {
            if isName("is") { throw JinjaError(.syntax, "tests cannot be chained with 'is'", line: line) }
            arguments.positional = [try parsePostfix(try parsePrimary())]
        }
        let call = TestCall(name: name, function: function, arguments: arguments)
        let test = try make(.test(value, call), depth: max(value.depth, arguments.depth))
        return isNegated ? try make(.not(test), test) : test
    }

    /// Whether the token can start the single argument of a test without parentheses.
    private var startsTestArgument: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .float, .symbol(.leftParenthesis), .symbol(.leftBracket), .symbol(.leftBrace): true
        default: false
        }
    }

    private mutating func parseDottedName() throws(JinjaError) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }
}
