// `for` loops and the `loop` object.

extension Interpreter {
    func execute(_ loop: ForLoop) throws(JinjaError) {
        let values = try elements(of: try evaluate(loop.iterable))
        try run(loop, over: values, definitionScope: scope, depth: 0)
    }

    /// - Parameter depth: the number of enclosing levels of the same recursive loop.
    func run(_ loop: ForLoop, over values: [Value], definitionScope: Scope?, depth: Int) throws(JinjaError) {
        let values = try select(values, for: loop, in: definitionScope)
        let state = LoopState(loop, values: values, definitionScope: definitionScope, depth: depth)
        defer { state.finish() }
        for (index, value) in values.enumerated() {
            try spend(4)
            state.index = index
            let flow = try scoped(parent: definitionScope) { () throws(JinjaError) in
                self.set(SpecialName.loop, .object(state))
                try self.assign(value, to: loop.target)
                return try self.execute(loop.body)
            }
            if flow == .breakLoop { return }
        }
        if values.isEmpty {
            try scoped(parent: definitionScope) { () throws(JinjaError) in _ = try self.execute(loop.otherwise) }
        }
    }

    /// The values for which the loop's `if` is true.
    private func select(
        _ values: [Value], for loop: ForLoop, in definitionScope: Scope?
    ) throws(JinjaError) -> [Value] {
        guard let filter = loop.filter else { return values }
        var selected: [Value] = []
        for value in values {
            try spend(2)
            let passes = try scoped(parent: definitionScope) { () throws(JinjaError) in
                try self.assign(value, to: loop.target)
                return try self.evaluate(filter).isTrue
            }
            if passes { selected.append(value) }
        }
        return selected
    }
}

/// The `loop` variable.
final class LoopState: RuntimeObject {
    private let loop: ForLoop
    private var values: [Value]
    private var definitionScope: Scope?
    private let depth: Int
    private var lastChecked: [Value]?
    var index = 0

    init(_ loop: ForLoop, values: [Value], definitionScope: Scope?, depth: Int) {
        self.loop = loop
        self.values = values
        self.definitionScope = definitionScope
        self.depth = depth
    }

    /// Drops all references that could form a cycle with this object.
    func finish() {
        values = []
        lastChecked = nil
        definitionScope = nil
    }

    override var typeName: String { "LoopContext" }
    override var isCallable: Bool { loop.isRecursive }
    override var printed: String { "<LoopContext \(index + 1)/\(values.count)>" }

    override func attribute(_ name: String, _ interpreter: Interpreter) throws(JinjaError) -> Value? {
        switch name {
        case "index": .int(index + 1)
        case "index0": .int(index)
        case "revindex": .int(values.count - index)
        case "revindex0": .int(values.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == values.count - 1)
        case "length": .int(values.count)
        case "depth": .int(depth + 1)
        case "depth0": .int(depth)
        case "previtem":
            index > 0 && index <= values.count
                ? values[index - 1] : .undefined(.missing("there is no previous item"))
        case "nextitem":
            index + 1 < values.count ? values[index + 1] : .undefined(.missing("there is no next item"))
        case "cycle", "changed": .object(try BoundMethod(.object(self), name))
        default: nil
        }
    }

    /// `loop.cycle(...)` and `loop.changed(...)`.
    func callMethod(_ name: String, _ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        if name == "cycle" {
            guard !arguments.positional.isEmpty else { throw JinjaError(.type, "cycle() needs at least one value") }
            return arguments.positional[index % arguments.positional.count]
        }
        if let last = lastChecked, try interpreter.equal(last, arguments.positional) { return .bool(false) }
        lastChecked = arguments.positional
        return .bool(true)
    }

    /// `loop(children)` in a recursive loop.
    override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        guard loop.isRecursive else {
            throw JinjaError(.type, "only a loop marked 'recursive' can be called")
        }
        let iterable = try arguments.bind("loop", ["iterable"], required: 1)[0]!
        let values = try interpreter.elements(of: iterable)
        return .string(
            try interpreter.nested { () throws(JinjaError) in
                try interpreter.capture { () throws(JinjaError) in
                    try interpreter.run(
                        self.loop, over: values, definitionScope: self.definitionScope, depth: self.depth + 1)
                }
            })
    }
}
