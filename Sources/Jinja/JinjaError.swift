// Errors of templates: one type for parsing and for rendering.

/// Why a template could not be parsed or rendered.
public struct JinjaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of failure; the names follow the Python exceptions that jinja2 would raise.
    public enum Kind: String, Sendable, Hashable {
        /// The template does not parse.
        case syntax = "syntax error"
        /// The template uses a construct, filter or test that is not supported because chat templates do not use it
        /// (`import`, `extends`, …).
        case unsupported = "unsupported construct"
        /// An undefined value was used for more than printing or testing.
        case undefined = "undefined value"
        /// An operation is not defined for the types of its operands.
        case type = "type error"
        /// A value is out of range, cannot be converted, or a number overflowed or was divided by zero.
        case value = "value error"
        /// The sandbox forbids an operation: access to internal attributes, and methods that change a list or dict.
        case security = "forbidden by the sandbox"
        /// A limit on work, output or nesting was reached (see ``RenderLimits``).
        case limit = "limit reached"
        /// The template called `raise_exception`.
        case raised = "template raised an exception"
    }

    /// The class of failure.
    public let kind: Kind
    /// What happened, for a person.
    public let message: String
    /// The line of the template, from 1; 0 if the error has no line.
    public internal(set) var line: Int

    init(_ kind: Kind, _ message: String, line: Int = 0) {
        self.kind = kind
        self.message = message
        self.line = line
    }

    /// Kind, message and line in one sentence.
    public var description: String {
        let place = line > 0 ? " (template line \(line))" : ""
        return "chat template: \(kind.rawValue): \(message)\(place)"
    }
}
