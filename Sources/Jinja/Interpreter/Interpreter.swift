// One render: walks the syntax tree and holds the variables, the output so far and the budget.

final class Interpreter {
    /// The limit for nested macro calls and recursive loops, whose frames are on the thread's stack.
    static let maximumCallDepth = 50
    /// The limit for nested expressions and blocks over all active calls: about 2 MB of stack in a debug build.
    static let maximumEvaluationDepth = 500

    let program: ParsedTemplate
    let environment: RenderEnvironment
    private let context: [String: JinjaValue]
    /// Top-level variables by name index; nil if neither set nor looked up yet.
    private var globals: [Value?]
    /// The innermost scope; nil at the template's top level.
    var scope: Scope?
    /// The destination of text: the result, or the active capture.
    var output = Text()
    /// The line of the statement that is being executed.
    var line = 0
    private var work = 0
    private var callDepth = 0
    private var evaluationDepth = 0
    /// Scopes that can refer to themselves through their variables; emptied at the end.
    private var scopesOfMacros: [Scope] = []
    private var namespaces: [Namespace] = []
    /// Visible characters of marked texts that the template removed on purpose, by mark.
    private(set) var removed = MarkCounts()

    init(program: ParsedTemplate, context: [String: JinjaValue], environment: RenderEnvironment) {
        self.program = program
        self.context = context
        self.environment = environment
        globals = Array(repeating: nil, count: program.names.count)
    }

    func run() throws(JinjaError) -> Text {
        _ = try execute(program.body)
        return output
    }

    /// Breaks reference cycles. The interpreter must not be used afterwards.
    func releaseCycles() {
        for scope in scopesOfMacros { scope.removeAll() }
        for namespace in namespaces { namespace.attributes = [:] }
        globals = []
    }

    /// Records a namespace, or a scope that a macro refers to, for `releaseCycles`.
    func track(_ namespace: Namespace) { namespaces.append(namespace) }

    func trackScopeOfMacro() {
        if let scope { scopesOfMacros.append(scope) }
    }

    // MARK: Limits

    /// Subtracts `units` of work from the budget.
    func spend(_ units: Int) throws(JinjaError) {
        work = work.addingReportingOverflow(units).partialValue
        if units < 0 || work < 0 || work > environment.limits.work {
            throw JinjaError(.limit, "rendering took more than \(environment.limits.work) units of work")
        }
    }

    /// Subtracts the cost of a text of `bytes` bytes, before it is built.
    func spend(textBytes bytes: Int) throws(JinjaError) {
        if bytes > environment.limits.textBytes {
            throw JinjaError(.limit, "a text grew beyond \(environment.limits.textBytes) bytes")
        }
        try spend(bytes)
    }

    /// Subtracts the cost of `count` new list elements.
    func spend(elements count: Int) throws(JinjaError) {
        let (units, overflow) = count.multipliedReportingOverflow(by: 32)
        try spend(overflow ? -1 : units)
    }

    /// Runs `body` one call level deeper.
    func nested<R>(_ body: () throws(JinjaError) -> R) throws(JinjaError) -> R {
        callDepth += 1
        defer { callDepth -= 1 }
        if callDepth > Self.maximumCallDepth {
            throw JinjaError(.limit, "calls are nested more than \(Self.maximumCallDepth) deep")
        }
        return try body()
    }

    /// Enters an expression or block; the caller leaves it with `leave`.
    func enter() throws(JinjaError) {
        evaluationDepth += 1
        if evaluationDepth > Self.maximumEvaluationDepth {
            throw JinjaError(.limit, "evaluation is nested more than \(Self.maximumEvaluationDepth) deep")
        }
    }

    func leave() { evaluationDepth -= 1 }

    // MARK: Marked text

    /// Counts the characters of a marked text that are missing in `rest`, because the template named them as text to
    /// leave out. They count as used although they are not in the output.
    func noteRemoval(from text: Text, leaving rest: [Text]) {
        guard text.isMarked else { return }
        removed.add(text.visibleCharacters)
        for piece in rest { removed.add(piece.visibleCharacters, times: -1) }
    }

    // MARK: Output and scopes

    func write(_ text: Text) throws(JinjaError) {
        try spend(text.utf8Count)
        if output.utf8Count + text.utf8Count > environment.limits.textBytes {
            throw JinjaError(.limit, "the output grew beyond \(environment.limits.textBytes) bytes")
        }
        output.append(text)
    }

    /// Returns the output of `body`.
    func capture(_ body: () throws(JinjaError) -> Void) throws(JinjaError) -> Text {
        let outer = output
        output = Text()
        defer { output = outer }
        try body()
        return output
    }

    /// Runs `body` in a new scope.
    func scoped<R>(parent: Scope?, _ body: () throws(JinjaError) -> R) throws(JinjaError) -> R {
        let outer = scope
        scope = Scope(parent: parent)
        defer { scope = outer }
        return try body()
    }

    // MARK: Variables

    func set(_ name: Int, _ value: Value) {
        if let scope { scope.set(name, value) } else { globals[name] = value }
    }

    func lookUp(_ name: Int) throws(JinjaError) -> Value {
        var current = scope
        while let scope = current {
            if let value = scope.own(name) { return value }
            current = scope.parent
        }
        if let value = globals[name] { return value }
        let value = try resolve(program.names[name])
        globals[name] = value
        return value
    }

    /// A variable that the template has not set: from the context, else a global function, else undefined.
    private func resolve(_ name: String) throws(JinjaError) -> Value {
        if let input = context[name] {
            return try Value(
                input, author: Author(origin: environment.dataVariables.contains(name) ? .data : .template))
        }
        if name == "strftime_now", environment.now == nil { return .undefined(.variable(name)) }
        if let body = GlobalTable.functions[name] { return .object(GlobalFunction(name, body)) }
        return .undefined(.variable(name))
    }
}
