// A parsed chat template: parse once, render for every conversation.

/// A parsed Jinja template, rendered the way Hugging Face transformers renders chat templates: a sandbox without
/// mutation, `trim_blocks` and `lstrip_blocks` on, no autoescape, loop controls, `generation` blocks, `tojson` without
/// HTML escaping, `raise_exception` and `strftime_now`.
public struct Template: Sendable {
    let program: Program

    /// Parses `source`.
    /// - Throws: ``JinjaError`` of kind `.syntax`, `.unsupported` or `.limit` with the line at fault.
    public init(_ source: String) throws(JinjaError) {
        var parser = try Parser(source: source)
        program = try parser.parseTemplate()
    }

    /// The rendered text.
    /// - Parameter context: the template's variables (`messages`, `tools`, `add_generation_prompt`, `bos_token`, …).
    /// - Throws: ``JinjaError`` with the template line that was running.
    public func render(
        _ context: [String: JinjaValue], environment: RenderEnvironment = RenderEnvironment()
    ) throws(JinjaError) -> String {
        var untracked = environment
        untracked.dataVariables = []
        return try output(context, untracked).string
    }

    /// The rendered text in runs of one origin: what the template wrote, and what came from the conversation.
    /// Joined, the segments are exactly what ``render(_:environment:)`` gives. Concatenation, slicing, trimming, case
    /// changes, `replace`, `join` and formatting (`format`, `%`) keep origins piece by piece; what is serialised
    /// (`tojson`, a printed list) is `.data` as a whole once any string in it is.
    public func renderSegments(
        _ context: [String: JinjaValue], environment: RenderEnvironment = RenderEnvironment()
    ) throws(JinjaError) -> [Segment] {
        try output(context, environment).segments
    }

    private func output(
        _ context: [String: JinjaValue], _ environment: RenderEnvironment
    ) throws(JinjaError) -> Text {
        let interpreter = Interpreter(program: program, context: context, environment: environment)
        defer { interpreter.releaseCycles() }
        do {
            return try interpreter.run()
        } catch {
            throw JinjaError(error.kind, error.message, line: error.line > 0 ? error.line : interpreter.line)
        }
    }
}
