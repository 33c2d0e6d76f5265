// `'…{}…'.format(...)` and `'…%s…' % value`. Literal text and inserted strings keep their origins. Markup as the format
// escapes what is inserted.

extension Interpreter {
    /// Python's `str.format`, with attributes and items in fields but no nested fields.
    func format(_ template: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        let scalars = Array(template.string.unicodeScalars)
        let offsets = template.offsets
        var result = Text()
        var automatic = 0
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            guard scalar == "{" || scalar == "}" else {
                let start = index
                while index < scalars.count, scalars[index] != "{", scalars[index] != "}" { index += 1 }
                result.append(template.slice(offsets[start]..<offsets[index]))
                continue
            }
            if index + 1 < scalars.count, scalars[index + 1] == scalar {
                result.append(template.slice(offsets[index]..<offsets[index + 1]))
                index += 2
                continue
            }
            guard scalar == "{", let end = scalars[index...].firstIndex(of: "}") else {
                throw JinjaError(.value, "a single '\(scalar)' in a format string")
            }
            let field = String(String.UnicodeScalarView(scalars[index + 1..<end]))
            let value = try formatField(field, arguments, &automatic, isMarkup: template.isMarkup)
            result.append(value)
            try spend(textBytes: result.utf8Count / 16 + 16)
            index = end + 1
        }
        return result.marked(asMarkup: template.isMarkup)
    }

    /// `name!conversion:specification`
    private func formatField(
        _ field: String, _ arguments: Arguments, _ automatic: inout Int, isMarkup: Bool
    ) throws(JinjaError) -> Text {
        if field.contains("{") { throw JinjaError(.unsupported, "nested fields in a format string") }
        let parts = field.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let head = parts[0].split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
        var value = try fieldValue(String(head[0]), arguments, &automatic)
        if head.count > 1 {
            switch head[1] {
            case "r": value = .string(try representation(of: value))
            case "s": value = .string(try text(of: value))
            default: throw JinjaError(.value, "unknown conversion '\(head[1])' in a format string")
            }
        }
        let specification = parts.count > 1 ? String(parts[1]) : ""
        guard isMarkup else { return try format(value, try FormatSpecification(specification)) }
        guard case .string(let text) = value, text.isMarkup else {
            return try escaped(try format(value, try FormatSpecification(specification)))
        }
        if !specification.isEmpty { throw JinjaError(.value, "a format specification for markup, '\(specification)'") }
        return text
    }

    private func fieldValue(
        _ path: String, _ arguments: Arguments, _ automatic: inout Int
    ) throws(JinjaError) -> Value {
        let name = path.prefix { $0 != "." && $0 != "[" }
        var value: Value
        if let position = name.isEmpty ? automatic : Int(name) {
            if name.isEmpty { automatic += 1 }
            guard arguments.positional.indices.contains(position) else {
                throw JinjaError(.value, "the format string needs an argument number \(position)")
            }
            value = arguments.positional[position]
        } else {
            guard let named = arguments.named.first(where: { $0.name == name }) else {
                throw JinjaError(.value, "the format string needs an argument named '\(name)'")
            }
            value = named.value
        }
        var rest = path.dropFirst(name.count)
        while let mark = rest.popFirst() {
            let step = rest.prefix { mark == "[" ? $0 != "]" : $0 != "." && $0 != "[" }
            rest = rest.dropFirst(step.count + (mark == "[" ? 1 : 0))
            value =
                mark == "["
                ? try item(Int(step).map { .int($0) } ?? .string(String(step)), of: value)
                : try attribute(String(step), of: value)
        }
        return value
    }

    func format(_ value: Value, _ specification: FormatSpecification) throws(JinjaError) -> Text {
        switch value {
        case .int(let value): return try specification.format(value)
        case .float(let value): return try specification.format(value)
        case .bool(let flag) where specification.type != nil && specification.type != "s":
            return try specification.format(flag ? 1 : 0)
        default: return try specification.format(try text(of: value))
        }
    }

    // MARK: printf style

    /// Python's `format % value`.
    func percentFormat(_ format: Text, _ value: Value) throws(JinjaError) -> Text {
        var values = [value]
        if case .tuple(let items) = value { values = items.values }
        var named: Dict?
        if case .dict(let dict) = value { named = dict }
        // As in Python, none of what can be indexed needs to be used, except by position.
        let mustBeUsed =
            switch value {
            case .dict, .list, .range, .undefined: false
            default: true
            }
        let scalars = Array(format.string.unicodeScalars)
        let offsets = format.offsets
        var result = Text()
        var next = 0
        var index = 0
        while index < scalars.count {
            let start = index
            while index < scalars.count, scalars[index] != "%" { index += 1 }
            result.append(format.slice(offsets[start]..<offsets[index]))
            if index == scalars.count { break }
            var rest = scalars[(index + 1)...]
            let key = try Self.percentKey(&rest)
            let specification = try Self.percentSpecification(&rest)
            index = rest.startIndex
            if specification.type == "%" {
                result.append(Text("%"))
                continue
            }
            let argument: Value
            if let key {
                guard let found = named?[key] else { throw JinjaError(.value, "the format needs a value for '\(key)'") }
                argument = found
                next = values.count
            } else {
                guard next < values.count else { throw JinjaError(.type, "not enough arguments for format string") }
                argument = values[next]
                next += 1
            }
            result.append(try formatPercent(argument, specification, isMarkup: format.isMarkup))
            try spend(textBytes: result.utf8Count / 16 + 16)
        }
        if next < values.count, mustBeUsed {
            throw JinjaError(.type, "not all arguments converted during string formatting")
        }
        return result.marked(asMarkup: format.isMarkup)
    }

    private static func percentKey(_ rest: inout ArraySlice<Unicode.Scalar>) throws(JinjaError) -> String? {
        guard rest.first == "(" else { return nil }
        guard let end = rest.firstIndex(of: ")") else { throw JinjaError(.value, "incomplete format key") }
        defer { rest = rest[(end + 1)...] }
        return String(String.UnicodeScalarView(rest[(rest.startIndex + 1)..<end]))
    }

    private static func percentSpecification(
        _ rest: inout ArraySlice<Unicode.Scalar>
    ) throws(JinjaError) -> FormatSpecification {
        var specification = FormatSpecification()
        specification.alignment = ">"
        while let flag = rest.first, ["-", "+", " ", "0", "#"].contains(flag) {
            rest.removeFirst()
            switch flag {
            case "-": specification.alignment = "<"
            case "0" where specification.alignment != "<":
                specification.fill = "0"
                specification.alignment = "="
            case "+", " ": if specification.sign != "+" { specification.sign = flag }
            case "#": specification.isAlternate = true
            default: break
            }
        }
        specification.width = try FormatSpecification.number(&rest) ?? 0
        if rest.first == "." {
            rest.removeFirst()
            specification.precision = try FormatSpecification.number(&rest) ?? 0
        }
        guard let type = rest.popFirst() else { throw JinjaError(.value, "incomplete format") }
        specification.type = type
        return specification
    }

    private func formatPercent(
        _ value: Value, _ given: FormatSpecification, isMarkup: Bool
    ) throws(JinjaError) -> Text {
        var specification = given
        let value = isMarkup ? numberForMarkup(value, given.type) : value
        switch given.type {
        case "s", "r", "a":
            specification.type = "s"
            if specification.alignment == "=" {
                specification.alignment = ">"
                specification.fill = " "
            }
            var text = given.type == "s" ? try softText(of: value) : try representation(of: value)
            if isMarkup { text = try escaped(text) }
            if given.type == "a" { text = text.escapingAllButASCII }
            return try specification.format(text.plain)
        case "d", "i", "u":
            specification.type = "d"
            specification.precision = nil
            guard let number = value.asDouble else { break }
            if let integer = value.asInteger { return try specification.format(integer) }
            return try specification.format(try truncated(number))
        case "c":
            if case .string(let text) = value, text.count == 1, !isMarkup {
                specification.type = "s"
                return try specification.format(text.plain)
            }
            guard !isMarkup, let number = value.asInteger else { break }
            return try specification.format(number)
        case "x", "X", "o":
            guard !isMarkup, let number = value.asInteger else { break }
            return try specification.format(number)
        case "f", "F", "e", "E", "g", "G":
            guard let number = value.asDouble else { break }
            return try specification.format(number)
        default: throw JinjaError(.value, "unsupported format character '\(given.type!)'")
        }
        if case .undefined(let undefined) = value { throw undefined.error }
        throw JinjaError(.type, "%\(given.type!) format: a number is required, not \(value.typeName)")
    }

    /// Markup converts what it formats by `int()` and `float()`, which read strings.
    private func numberForMarkup(_ value: Value, _ type: Unicode.Scalar?) -> Value {
        guard let type, case .string(let text) = value else { return value }
        var number: Value?
        if "diu".unicodeScalars.contains(type) {
            number = NumberFilters.parseInteger(text.trimmed().string, base: 10).map { .int($0) }
        } else if "fFeEgG".unicodeScalars.contains(type) {
            number = NumberFilters.parseFloat(text.trimmed().string).map { .float($0) }
        }
        return number ?? value
    }

    /// A float, truncated towards 0.
    func truncated(_ value: Double) throws(JinjaError) -> Int {
        guard let integer = Int(exactly: value.rounded(.towardZero)) else {
            throw JinjaError(.value, "the float \(pythonText(value)) does not fit into an integer")
        }
        return integer
    }
}
