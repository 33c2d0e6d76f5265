// What a grammar allows: the interface between sampling and an engine for structured output.

/// Follows one text, and says which tokens may come next. It is used by one thread at a time.
public protocol TokenConstraint: AnyObject {
    /// The tokens that may come next; end tokens are among them if the text may end here.
    func nextTokens() throws(ConstraintFault) -> TokenMask
    /// Adds the next token of the text.
    func accept(_ token: Int32) throws(ConstraintFault)
    /// Whether the text is complete, so that it may end here.
    var mayEnd: Bool { get }
    /// Whether nothing can follow.
    var mustEnd: Bool { get }
}

/// A compiled grammar, from which the constraint of each text is made. Several threads may use it at once.
public protocol TokenGrammar: AnyObject, Sendable {
    /// The constraint of a text that has no token yet.
    func makeConstraint() throws(ConstraintFault) -> any TokenConstraint
}

/// Why a grammar cannot be used, or allows no token.
public struct ConstraintFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// For a person.
    public let description: String

    /// A fault that `description` describes.
    public init(_ description: String) { self.description = description }
}

/// The grammar of a request; equal if it is the same object.
public struct GrammarReference: Sendable, Hashable {
    /// The grammar.
    public let grammar: any TokenGrammar

    /// A reference to `grammar`.
    public init(_ grammar: any TokenGrammar) { self.grammar = grammar }

    /// Whether both are the same object.
    public static func == (left: GrammarReference, right: GrammarReference) -> Bool { left.grammar === right.grammar }

    /// Hashes the object's identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(grammar)) }
}

/// Whether a constrained text could end with its newest token.
public enum ConstraintState: Sendable, Hashable {
    /// The text is not complete.
    case open
    /// The text is complete, and may go on.
    case mayEnd
    /// The text is complete, and nothing can follow.
    case mustEnd
}
