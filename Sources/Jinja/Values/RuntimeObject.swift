// Values with identity: those that Python represents by objects rather than plain data.

/// The base class of all objects. It has no attributes and cannot be called.
class RuntimeObject {
    /// The name in error messages.
    var typeName: String { "object" }
    /// Its `str`.
    var printed: String { "<\(typeName)>" }
    /// The nesting of the values that it holds permanently; see ``Items``.
    var nesting: Int { 0 }
    var isCallable: Bool { false }

    /// The attribute `name`; nil if there is none.
    func attribute(_ name: String, _ interpreter: Interpreter) throws(JinjaError) -> Value? { nil }

    /// Calls the object. The base class throws.
    func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        throw JinjaError(.type, "'\(typeName)' object is not callable")
    }
}

/// `namespace(...)`, the only object that a template can change. Printing and comparing never read its contents.
final class Namespace: RuntimeObject {
    var attributes: [String: Value] = [:]

    override var typeName: String { "Namespace" }

    override func attribute(_ name: String, _ interpreter: Interpreter) -> Value? { attributes[name] }
}

/// A method taken from a value, such as `message.get`.
final class BoundMethod: RuntimeObject {
    let receiver: Value
    let name: String

    init(_ receiver: Value, _ name: String) throws(JinjaError) {
        self.receiver = receiver
        self.name = name
        nestingOfReceiver = try Items.nesting(of: [receiver])
    }

    private let nestingOfReceiver: Int

    override var typeName: String { "builtin_function_or_method" }
    override var nesting: Int { nestingOfReceiver }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        try interpreter.callMethod(name, of: receiver, arguments)
    }
}

/// A global function such as `range`.
final class GlobalFunction: RuntimeObject {
    typealias Body = @Sendable (Interpreter, Arguments) throws(JinjaError) -> Value

    let name: String
    let body: Body

    init(_ name: String, _ body: @escaping Body) {
        self.name = name
        self.body = body
    }

    override var typeName: String { "function" }
    override var printed: String { "<function \(name)>" }
    override var isCallable: Bool { true }

    override func call(_ arguments: Arguments, _ interpreter: Interpreter) throws(JinjaError) -> Value {
        try body(interpreter, arguments)
    }
}
