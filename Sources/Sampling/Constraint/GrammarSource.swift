// What a request says of the form of its text, before it is compiled.

/// A grammar as a request writes it.
public struct GrammarSource: Sendable, Hashable {
    /// The kinds of grammars.
    public enum Kind: Sendable, Hashable {
        /// JSON that a schema describes; the text of the schema.
        case json(String)
        /// A JSON array of one call of these functions, or several: `[{"name": …, "parameters": …}]`.
        case calls([Function], mayBeSeveral: Bool)
        /// A regular expression for the whole text.
        case regex(String)
        /// One of these texts.
        case choice([String])
        /// A grammar in llguidance's variant of Lark.
        case lark(String)
    }

    /// A function that can be called.
    public struct Function: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// The text of the schema of its parameters.
        public var parameters: String

        /// Makes a function.
        public init(name: String, parameters: String) {
            self.name = name
            self.parameters = parameters
        }
    }

    /// The grammar.
    public var kind: Kind
    /// Whether JSON may have spaces and line breaks between its parts.
    public var allowsWhitespace: Bool

    /// A grammar; by default JSON is compact.
    public init(_ kind: Kind, allowsWhitespace: Bool = false) {
        self.kind = kind
        self.allowsWhitespace = allowsWhitespace
    }
}
