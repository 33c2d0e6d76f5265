// Statements: everything between `{%` and `%}`, and template text.

extension Parser {
    /// Parses statements until a block starts with one of `ends`, which is not consumed; if `ends` is empty, to the
    /// end.
    mutating func parseBody(until ends: [String]) throws(JinjaError) -> [Statement] {
        try enter()
        defer { depth -= 1 }
        let beginLine = line
        var body: [Statement] = []
        while true {
            let line = line
            switch current.kind {
            case .data(let text):
                advance()
                body.append(Statement(line: line, node: .text(Text(text))))
            case .variableBegin:
                advance()
                let expression = try parseTuple()
                guard current.kind == .variableEnd else { throw unexpected("'}}'") }
                advance()
                body.append(Statement(line: line, node: .output(expression)))
            case .blockBegin:
                advance()
                if ends.contains(where: isName) { return body }
                body.append(Statement(line: line, node: try parseStatement()))
            default:
                if ends.isEmpty { return body }
                throw JinjaError(
                    .syntax, "'\(ends[ends.count - 1])' is missing for the block before line \(beginLine)", line: line)
            }
        }
    }

    /// Parses a body and its end tag.
    private mutating func parseBody(to end: String) throws(JinjaError) -> [Statement] {
        try expectBlockEnd()
        let body = try parseBody(until: [end])
        try expect(name: end)
        try expectBlockEnd()
        return body
    }

    private mutating func parseStatement() throws(JinjaError) -> Statement.Node {
        let keyword = try expectName()
        switch keyword {
        case "if": return try parseIf()
        case "for": return try parseFor()
        case "set": return try parseSet()
        case "macro": return try parseMacro()
        case "call": return try parseCallBlock()
        case "filter": return try parseFilterBlock()
        case "with": return try parseWith()
        case "generation": return .generation(try parseBody(to: "endgeneration"))
        case "break", "continue": return try parseLoopControl(keyword)
        case "include", "import", "from", "extends", "block", "autoescape", "do", "trans", "print", "debug":
            throw JinjaError(.unsupported, "'{% \(keyword) %}' does not exist in chat templates", line: line)
        default: throw JinjaError(.syntax, "unknown tag '\(keyword)'", line: line)
        }
    }

    private mutating func parseIf() throws(JinjaError) -> Statement.Node {
        var branches: [Branch] = []
        branchDepth += 1
        defer { branchDepth -= 1 }
        while true {
            let line = line
            let condition = try parseTuple(allowsConditional: false)
            try expectBlockEnd()
            let body = try parseBody(until: ["elif", "else", "endif"])
            branches.append(Branch(line: line, condition: condition, body: body))
            if skip(name: "elif") { continue }
            if skip(name: "else") { return .branches(branches, otherwise: try parseBody(to: "endif")) }
            try expect(name: "endif")
            try expectBlockEnd()
            return .branches(branches, otherwise: [])
        }
    }

    private mutating func parseFor() throws(JinjaError) -> Statement.Node {
        let target = try parseTarget(allowsAttributes: false, end: "in")
        guard !target.binds(SpecialName.loop) else {
            throw JinjaError(.syntax, "'loop' cannot be a loop's own variable", line: line)
        }
        try expect(name: "in")
        let iterable = try parseTuple(allowsConditional: false, end: "recursive")
        let filter = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        try expectBlockEnd()
        loopDepth += 1
        let body = try parseBody(until: ["endfor", "else"])
        loopDepth -= 1
        var otherwise: [Statement] = []
        if skip(name: "else") {
            otherwise = try parseBody(to: "endfor")
        } else {
            try expect(name: "endfor")
            try expectBlockEnd()
        }
        return .loop(
            ForLoop(
                target: target, iterable: iterable, filter: filter, isRecursive: isRecursive, body: body,
                otherwise: otherwise))
    }

    private mutating func parseLoopControl(_ keyword: String) throws(JinjaError) -> Statement.Node {
        guard loopDepth > 0 else { throw JinjaError(.syntax, "'\(keyword)' outside of a loop", line: line) }
        try expectBlockEnd()
        return keyword == "break" ? .breakLoop : .continueLoop
    }

    private mutating func parseSet() throws(JinjaError) -> Statement.Node {
        let target = try parseTarget(allowsAttributes: true, end: nil)
        if skip(.assign) {
            let value = try parseTuple()
            try expectBlockEnd()
            return .set(target, value)
        }
        let filters = try parseFilterChain()
        return .setBlock(
            target, filters, try withoutLoop { parser throws(JinjaError) in try parser.parseBody(to: "endset") })
    }

    private mutating func parseWith() throws(JinjaError) -> Statement.Node {
        var bindings: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(.comma) }
            let target = try parseTarget(allowsAttributes: false, end: nil)
            try expect(.assign)
            bindings.append((target, try parseExpression()))
        }
        return .with(bindings, try parseBody(to: "endwith"))
    }

    private mutating func parseFilterBlock() throws(JinjaError) -> Statement.Node {
        var filters = [try parseFilterCall()]
        filters += try parseFilterChain()
        let body = try withoutLoop { parser throws(JinjaError) in try parser.parseBody(to: "endfilter") }
        return .filterBlock(filters, body)
    }

    private mutating func parseFilterChain() throws(JinjaError) -> [FilterCall] {
        var filters: [FilterCall] = []
        while skip(.pipe) { filters.append(try parseFilterCall()) }
        return filters
    }

    // MARK: Macros

    private mutating func parseMacro() throws(JinjaError) -> Statement.Node {
        let name = try expectName()
        return .macro(
            try parseDefinition(name: name, end: "endmacro") { parser throws(JinjaError) in
                try parser.parseSignature()
            })
    }

    private mutating func parseCallBlock() throws(JinjaError) -> Statement.Node {
        var callee: Expression?
        var arguments = ArgumentList()
        let definition = try parseDefinition(name: "caller", end: "endcall") { parser throws(JinjaError) in
            let signature = parser.isSymbol(.leftParenthesis) ? try parser.parseSignature() : ([], [])
            guard case .call(let function, let list) = try parser.parseExpression().node else {
                throw JinjaError(.syntax, "'call' needs a call, as in {% call name(...) %}", line: parser.line)
            }
            callee = function
            arguments = list
            return signature
        }
        return .callBlock(definition, callee!, arguments)
    }

    private typealias Signature = (parameters: [Int], defaults: [Expression])

    private mutating func parseDefinition(
        name: String, end: String, head: (inout Parser) throws(JinjaError) -> Signature
    ) throws(JinjaError) -> MacroDefinition {
        let nameIndex = index(of: name)
        let signature = try head(&self)
        let before = nameUses
        let body = try withoutLoop { parser throws(JinjaError) in try parser.parseBody(to: end) }
        func uses(_ special: Int) -> Bool { nameUses[special] > before[special] }
        return MacroDefinition(
            name: nameIndex, parameters: signature.parameters, defaults: signature.defaults, body: body,
            usesVarargs: uses(SpecialName.varargs), usesKwargs: uses(SpecialName.kwargs),
            usesCaller: uses(SpecialName.caller))
    }

    private mutating func parseSignature() throws(JinjaError) -> Signature {
        var parameters: [Int] = []
        var defaults: [Expression] = []
        try expect(.leftParenthesis)
        while !isSymbol(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            parameters.append(index(of: try expectName()))
            if skip(.assign) {
                defaults.append(try parseExpression())
            } else if !defaults.isEmpty {
                throw JinjaError(.syntax, "a parameter without a default follows one with a default", line: line)
            }
        }
        try expect(.rightParenthesis)
        return (parameters, defaults)
    }

    /// Parses a body that runs outside of the enclosing loop, so that `break` cannot leave that loop.
    private mutating func withoutLoop(
        _ parse: (inout Parser) throws(JinjaError) -> [Statement]
    ) throws(JinjaError) -> [Statement] {
        let outer = loopDepth
        loopDepth = 0
        defer { loopDepth = outer }
        return try parse(&self)
    }

    // MARK: Targets

    /// - Parameter end: a name that ends a list of targets, such as `in`.
    private mutating func parseTarget(allowsAttributes: Bool, end: String?) throws(JinjaError) -> Target {
        var targets = [try parseSingleTarget(allowsAttributes)]
        var isTuple = false
        while skip(.comma) {
            isTuple = true
            if let end, isName(end) { break }
            if isSymbol(.assign) || isSymbol(.rightParenthesis) || current.kind == .blockEnd { break }
            targets.append(try parseSingleTarget(allowsAttributes))
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private mutating func parseSingleTarget(_ allowsAttributes: Bool) throws(JinjaError) -> Target {
        if skip(.leftParenthesis) {
            try enter()
            defer { depth -= 1 }
            let target = try parseTarget(allowsAttributes: false, end: nil)
            try expect(.rightParenthesis)
            return target
        }
        let name = try expectName()
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw JinjaError(.syntax, "cannot assign to '\(name)'", line: line)
        }
        let nameIndex = index(of: name)
        guard allowsAttributes, skip(.dot) else { return .name(nameIndex) }
        return .attribute(namespace: nameIndex, try expectName())
    }
}

extension Target {
    fileprivate func binds(_ name: Int) -> Bool {
        switch self {
        case .name(let own): own == name
        case .attribute: false
        case .tuple(let targets): targets.contains { $0.binds(name) }
        }
    }
}
