// Executes statements.

/// How a sequence of statements ended.
enum Flow {
    case normal
    case breakLoop
    case continueLoop
}

extension Interpreter {
    func execute(_ body: [Statement]) throws(JinjaError) -> Flow {
        try enter()
        defer { leave() }
        for statement in body {
            line = statement.line
            let flow = try execute(statement.node)
            if flow != .normal { return flow }
        }
        return .normal
    }

    private func execute(_ node: Statement.Node) throws(JinjaError) -> Flow {
        switch node {
        case .text(let text): try write(text)
        case .output(let expression): try write(try text(of: try evaluate(expression)))
        case .branches(let branches, let otherwise): return try executeBranches(branches, otherwise)
        case .loop(let loop): try execute(loop)
        case .set(let target, let expression): try assign(try evaluate(expression), to: target)
        case .setBlock(let target, let filters, let body):
            try assign(try capture(body, through: filters), to: target)
        case .macro(let definition): set(definition.name, .object(makeMacro(definition)))
        case .callBlock(let definition, let function, let list):
            try executeCallBlock(definition, function, list)
        case .filterBlock(let filters, let body):
            try write(try text(of: try capture(body, through: filters)))
        case .with(let bindings, let body): return try executeWith(bindings, body)
        case .generation(let body):
            return try scoped(parent: scope) { () throws(JinjaError) in try self.execute(body) }
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .normal
    }

    private func executeBranches(_ branches: [Branch], _ otherwise: [Statement]) throws(JinjaError) -> Flow {
        for branch in branches {
            line = branch.line
            if try evaluate(branch.condition).isTrue { return try execute(branch.body) }
        }
        return try execute(otherwise)
    }

    /// The values are evaluated in the surrounding scope; the names belong to the block.
    private func executeWith(
        _ bindings: [(target: Target, value: Expression)], _ body: [Statement]
    ) throws(JinjaError) -> Flow {
        var values: [Value] = []
        for binding in bindings { values.append(try evaluate(binding.value)) }
        return try scoped(parent: scope) { () throws(JinjaError) in
            for (binding, value) in zip(bindings, values) { try self.assign(value, to: binding.target) }
            return try self.execute(body)
        }
    }

    private func capture(_ body: [Statement], through filters: [FilterCall]) throws(JinjaError) -> Value {
        let text = try scoped(parent: scope) { () throws(JinjaError) in
            try self.capture { () throws(JinjaError) in _ = try self.execute(body) }
        }
        var value = Value.string(text)
        for filter in filters { value = try apply(filter, to: value) }
        return value
    }

    private func executeCallBlock(
        _ definition: MacroDefinition, _ function: Expression, _ list: ArgumentList
    ) throws(JinjaError) {
        var arguments = try evaluate(list)
        arguments.named.append(("caller", .object(makeMacro(definition))))
        try write(try text(of: try call(try evaluate(function), arguments)))
    }

    func assign(_ value: Value, to target: Target) throws(JinjaError) {
        switch target {
        case .name(let name): set(name, value)
        case .attribute(let name, let attribute):
            guard case .object(let object) = try lookUp(name), let namespace = object as? Namespace else {
                throw JinjaError(
                    .type, "cannot assign attribute '\(attribute)': '\(program.names[name])' is not a namespace")
            }
            namespace.attributes[attribute] = value
        case .tuple(let targets):
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw JinjaError(.value, "\(values.count) values for \(targets.count) names")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target) }
        }
    }
}
