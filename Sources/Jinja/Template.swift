// A parsed chat template. Parse once, render for every conversation.

/// A parsed Jinja template. It is rendered as Hugging Face transformers renders chat templates: in a sandbox without
/// mutation, `trim_blocks` and `lstrip_blocks` on, no autoescape, loop controls, `generation` blocks, `tojson` without
/// HTML escaping, `raise_exception` and `strftime_now`.
public struct Template: Sendable {
    let program: ParsedTemplate

    /// Parses `source`.
    /// - Throws: ``JinjaError`` of kind `.syntax`, `.unsupported` or `.limit`, with the line of the error.
    public init(_ source: String) throws(JinjaError) {
        var parser = try Parser(source: source)
        program = try parser.parseTemplate()
    }

    /// Whether an expression of the template is or contains exactly this string literal. A template that handles a role
    /// specially compares with its name.
    public func hasLiteral(_ text: String) -> Bool { program.literals.contains(text) }

    /// Whether an expression of the template names a variable so.
    public func namesVariable(_ name: String) -> Bool { program.names.contains(name) }

    /// The rendered text.
    /// - Parameter context: the template's variables (`messages`, `tools`, `add_generation_prompt`, `bos_token`, …).
    /// - Throws: ``JinjaError`` with the line of the template at which it failed.
    public func render(
        _ context: [String: JinjaValue], environment: RenderEnvironment = RenderEnvironment()
    ) throws(JinjaError) -> String {
        var untracked = environment
        untracked.dataVariables = []
        return try rendering(context, environment: untracked).segments.map(\.text).joined()
    }

    /// The rendered text with the origin of each piece: the template, or the conversation.
    ///
    /// Joined, its segments are exactly the result of ``render(_:environment:)``. Concatenation, slicing, trimming,
    /// case changes, `replace`, `join` and formatting (`format`, `%`) keep origins and marks piece by piece. Serialised
    /// text (`tojson`, a printed list) is `.data` as a whole if any string in it is, and keeps the strings' marks.
    public func rendering(
        _ context: [String: JinjaValue], environment: RenderEnvironment = RenderEnvironment()
    ) throws(JinjaError) -> Rendering {
        let interpreter = Interpreter(program: program, context: context, environment: environment)
        defer { interpreter.releaseCycles() }
        do {
            let text = try interpreter.run()
            return Rendering(text, removedCharacters: interpreter.removed)
        } catch {
            throw JinjaError(error.kind, error.message, line: error.line > 0 ? error.line : interpreter.line)
        }
    }
}
