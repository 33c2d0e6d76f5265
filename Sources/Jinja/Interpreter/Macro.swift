// Macros, and the `caller` of a call block.

final class Macro: RuntimeObject {
    private let definition: MacroDefinition
    private let name: String
    /// The scope that is visible in the body besides its own variables.
    private let definitionScope: Scope?

    init(_ definition: MacroDefinition, name: String, definitionScope: Scope?) {
        self.definition = definition
        self.name = name
        self.definitionScope = definitionScope
    }

    override var typeName: String { "Macro" }
    override var isCallable: Bool { true }
    override var printed: String { "<Macro '\(name)'>" }

    override func attribute(_ name: String, _ interpreter: Interpreter) throws(JinjaError) -> Value? {
        switch name {
        case "name": .string(self.name)
        case "arguments": try .tuple(definition.parameters.map { .string(interpreter.program.names[$0]) })
        case "caller": .bool(definition.usesCaller)
        case "catch_kwargs": .bool(definition.usesKwargs)
        case "catch_varargs": .bool(definition.usesVarargs)
        default: nil
        }
    }

    override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        let line = interpreter.line
        let text = try interpreter.nested { () throws(JinjaError) in
            try interpreter.scoped(parent: self.definitionScope) { () throws(JinjaError) in
                try self.bind(arguments, interpreter)
                return try interpreter.capture { () throws(JinjaError) in
                    _ = try interpreter.execute(self.definition.body)
                }
            }
        }
        interpreter.line = line
        return .string(text)
    }

    private func bind(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) {
        let parameters = definition.parameters
        var named = arguments.named
        try interpreter.spend(elements: 1 + named.count)
        if definition.usesCaller || parameters.contains(SpecialName.caller) {
            let caller = named.firstIndex { $0.name == "caller" }.map { named.remove(at: $0).value }
            interpreter.set(SpecialName.caller, caller ?? .undefined(.missing("no caller defined")))
        }
        let firstDefault = parameters.count - definition.defaults.count
        for (position, parameter) in parameters.enumerated() where parameter != SpecialName.caller {
            let parameterName = interpreter.program.names[parameter]
            let byName = named.firstIndex { $0.name == parameterName }.map { named.remove(at: $0).value }
            if position < arguments.positional.count {
                if byName != nil { throw JinjaError(.type, "macro '\(name)' got two values for '\(parameterName)'") }
                interpreter.set(parameter, arguments.positional[position])
            } else if let byName {
                interpreter.set(parameter, byName)
            } else if position >= firstDefault {
                interpreter.set(parameter, try interpreter.evaluate(definition.defaults[position - firstDefault]))
            } else {
                interpreter.set(parameter, .undefined(.missing("parameter '\(parameterName)' was not provided")))
            }
        }
        try bindRest(Array(arguments.positional.dropFirst(parameters.count)), named, interpreter)
    }

    private func bindRest(
        _ positional: [Value], _ named: [(name: String, value: Value)], _ interpreter: Interpreter
    ) throws(JinjaError) {
        if definition.usesKwargs {
            let pairs = named.map { (Value.string($0.name), $0.value) }
            interpreter.set(SpecialName.kwargs, .dict(try Dict(pairs)))
        } else if let unknown = named.first {
            throw JinjaError(.type, "macro '\(name)' has no parameter named '\(unknown.name)'")
        }
        if definition.usesVarargs {
            interpreter.set(SpecialName.varargs, try .tuple(positional))
        } else if !positional.isEmpty {
            throw JinjaError(.type, "macro '\(name)' takes at most \(definition.parameters.count) arguments")
        }
    }
}

extension Interpreter {
    func makeMacro(_ definition: MacroDefinition) -> Macro {
        trackScopeOfMacro()
        return Macro(definition, name: program.names[definition.name], definitionScope: scope)
    }
}
