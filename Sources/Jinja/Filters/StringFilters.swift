// Filters on text. As in jinja2 they convert any value to a string.

enum StringFilters {
    static let functions: [String: FilterFunction] = [
        "upper": soft("upper") { $0.uppercased() }, "lower": soft("lower") { $0.lowercased() },
        "capitalize": soft("capitalize") { $0.capitalized() }, "string": soft("string") { $0 },
        "title": plain("title") { $0.titlecasedByWord() }, "safe": plain("safe") { $0.marked() },
        "escape": escape, "e": escape, "forceescape": forceEscape,
        "trim": trim, "replace": replace, "indent": indent, "center": center, "format": format,
        "wordcount": wordCount, "truncate": truncate,
    ]

    /// A filter without arguments that transforms text.
    private static func plain(_ name: String, _ transform: @escaping @Sendable (Text) -> Text) -> FilterFunction {
        { interpreter, value, arguments throws(JinjaError) in
            _ = try arguments.bind(name)
            let text = try interpreter.text(of: value)
            try interpreter.spend(text.utf8Count)
            return .string(transform(text))
        }
    }

    /// Such a filter whose result is markup where its operand is.
    private static func soft(_ name: String, _ transform: @escaping @Sendable (Text) -> Text) -> FilterFunction {
        let filter = plain(name, transform)
        return { interpreter, value, arguments throws(JinjaError) in
            let result = try filter(interpreter, value, arguments)
            return value.isMarkup ? try result.marked() : result
        }
    }

    @Sendable private static func escape(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("escape")
        return .string(try interpreter.escaped(value))
    }

    /// Escapes markup, too.
    @Sendable private static func forceEscape(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("forceescape")
        return .string(try interpreter.escaped(try interpreter.text(of: value)))
    }

    @Sendable private static func trim(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let chars = try arguments.bind("trim", ["chars"])[0]
        let strip = chars.map { Arguments(positional: [$0]) } ?? Arguments()
        return try interpreter.callStringMethod("strip", try interpreter.softText(of: value), strip)
    }

    @Sendable private static func replace(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("replace", ["old", "new", "count"], required: 2)
        return .string(
            try interpreter.replace(
                try interpreter.text(of: value), try interpreter.text(of: bound[0]!),
                with: try interpreter.text(of: bound[1]!), count: try interpreter.optionalInteger(bound[2]) ?? -1))
    }

    @Sendable private static func indent(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("indent", ["width", "first", "blank"])
        var indentation = Text("    ")
        if case .string(let text)? = bound[0] {
            indentation = text
        } else if let width = bound[0] {
            let count = max(0, try interpreter.integer(width))
            try interpreter.spend(textBytes: count)
            indentation = interpreter.padding(Text(" "), count)
        }
        let text = try interpreter.string(value)
        var lines = text.splitLines()
        // Python appends a newline before it splits, which yields an empty last line after a final newline.
        if text.isEmpty || text.hasSuffix(Text("\n")) || text.string.unicodeScalars.last!.isPythonLineBreak {
            lines.append(Text())
        }
        let (growth, overflow) = lines.count.multipliedReportingOverflow(by: indentation.utf8Count + 1)
        try interpreter.spend(textBytes: overflow ? .max : growth + text.utf8Count)
        let newline = Text("\n").marked(asMarkup: text.isMarkup)
        if text.isMarkup { indentation = indentation.marked() }
        lines = lines.map { $0.marked(asMarkup: text.isMarkup) }
        var result = lines[0]
        if bound[2]?.isTrue ?? false {
            result = try interpreter.join(lines, separator: try interpreter.sum(newline, indentation))
        } else if lines.count > 1 {
            let rest = try lines.dropFirst().map { line throws(JinjaError) in
                line.isEmpty ? line : try interpreter.sum(indentation, line)
            }
            let body = try interpreter.join(rest, separator: newline)
            result = try interpreter.sum(result, try interpreter.sum(newline, body))
        }
        if bound[1]?.isTrue ?? false { result = try interpreter.sum(indentation, result) }
        return .string(result)
    }

    @Sendable private static func center(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let width = try arguments.bind("center", ["width"])[0] ?? .int(80)
        return try interpreter.callStringMethod(
            "center", try interpreter.softText(of: value), Arguments(positional: [width]))
    }

    @Sendable private static func format(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let format = try interpreter.softText(of: value)
        if !arguments.positional.isEmpty, !arguments.named.isEmpty {
            throw JinjaError(.type, "format takes positional or keyword arguments, not both")
        }
        if arguments.named.isEmpty {
            return .string(try interpreter.percentFormat(format, try .tuple(arguments.positional)))
        }
        let pairs = arguments.named.map { (Value.string($0.name), $0.value) }
        return .string(try interpreter.percentFormat(format, .dict(try Dict(pairs))))
    }

    @Sendable private static func wordCount(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        _ = try arguments.bind("wordcount")
        let text = try interpreter.text(of: value)
        try interpreter.spend(text.utf8Count)
        var count = 0
        var inWord = false
        for scalar in text.string.unicodeScalars {
            let properties = scalar.properties
            let isWord = scalar == "_" || properties.isAlphabetic || properties.numericType != nil
            if isWord, !inWord { count += 1 }
            inWord = isWord
        }
        return .int(count)
    }

    @Sendable private static func truncate(
        _ interpreter: Interpreter, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value {
        let bound = try arguments.bind("truncate", ["length", "killwords", "end", "leeway"])
        let end = bound[2] ?? .string("...")
        let endLength = try interpreter.length(of: end)
        let length = try interpreter.optionalInteger(bound[0]) ?? 255
        let leeway = try interpreter.optionalInteger(bound[3]) ?? 5
        guard length >= endLength, leeway >= 0 else {
            throw JinjaError(.value, "truncate needs a length of at least \(endLength) and a leeway of at least 0")
        }
        // As in jinja2, what is short enough need not be a string.
        let count = try interpreter.length(of: value)
        if count <= length || count - length <= leeway { return value }
        let text = try interpreter.string(value)
        var result = text.slice(0..<text.offset(ofCodePoint: length - endLength))
        if !(bound[1]?.isTrue ?? false), let space = result.offsetsFromRight(of: Text(" "), limit: 1).first {
            result = result.slice(0..<space)
        }
        return .string(try interpreter.sum(result.marked(asMarkup: text.isMarkup), try interpreter.string(end)))
    }
}

extension Text {
    /// jinja2's `title`: words begin after white space, hyphens and opening brackets only.
    fileprivate func titlecasedByWord() -> Text {
        let starters: Set<Unicode.Scalar> = ["-", "(", "{", "[", "<"]
        var atStart = true
        return mapScalars { scalar in
            let isStarter = starters.contains(scalar) || scalar.isPythonSpace
            defer { atStart = isStarter }
            return atStart ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
        }
    }
}
