// The fields that say what form a text must have: OpenAI's `response_format`, vLLM's `structured_outputs`, and the names
// `guided_…` that vLLM had before and now ignores.

import JSONText
import Sampling

extension BodyReader {
    mutating func readStructure(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        if value.isNull { return }
        switch field {
        case .responseFormat: readResponseFormat(value, path())
        case .structuredOutputs: readStructuredOutputs(value, path())
        case .guidedJSON: set(schema(value, path()), path())
        case .guidedRegex: set(grammarText(value, path(), most: Self.longestRegex).map { .regex($0) }, path())
        case .guidedChoice: set(choices(value, path()).map { .choice($0) }, path())
        default: set(grammarText(value, path(), most: Self.longestGrammar).map { .lark($0) }, path())
        }
    }

    private static let longestSchema = 1 << 20
    private static let longestRegex = 1 << 16
    private static let longestGrammar = 1 << 18
    private static let mostChoices = 10_000
    private static let anyObject = GrammarSource.Kind.json(#"{"type":"object"}"#)

    /// Sets the request's structure, of which there is only one.
    mutating func set(_ kind: GrammarSource.Kind?, _ path: String, allowsWhitespace: Bool = false) {
        guard let kind else { return }
        if let other = request.structure {
            problems.add(
                .invalidValue, path, nil, "stands beside \(prefix)\(other.path)", "give only one form for the text")
            return
        }
        request.structure = RequestBody.Structure(
            source: GrammarSource(kind, allowsWhitespace: allowsWhitespace), path: String(path.dropFirst(prefix.count)))
    }

    private mutating func readResponseFormat(_ value: JSONNode, _ path: String) {
        let names = ["text", "json_object", "json_schema"]
        guard let members = members(value, path, ["type", "json_schema"]) else { return }
        guard let type = members["type"] else {
            return problems.add(
                .missingField, "\(path).type", nil, "is missing", "use \(names.joined(separator: ", "))")
        }
        if type.isString("text") || type.isString("json_object") {
            if let other = members["json_schema"], !other.isNull {
                problems.add(.invalidValue, "\(path).json_schema", nil, "needs the type json_schema", "change the type")
            }
            if type.isString("json_object") { set(Self.anyObject, path) }
            return
        }
        guard type.isString("json_schema") else {
            return problems.add(
                .invalidValue, "\(path).type", type, "is no type of format", "use \(names.joined(separator: ", "))")
        }
        readSchemaFormat(members["json_schema"], "\(path).json_schema")
    }

    private mutating func readSchemaFormat(_ value: JSONNode?, _ path: String) {
        guard let value, !value.isNull else {
            return problems.add(.missingField, path, nil, "is missing", "give name and schema")
        }
        guard let members = members(value, path, ["name", "schema", "strict", "description"]) else { return }
        if let name = members["name"], let text = string(name, "\(path).name") {
            let isName =
                text.utf8.count <= 64 && !text.isEmpty
                && text.utf8.allSatisfy { byte in
                    byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                }
            if !isName {
                problems.add(
                    .invalidValue, "\(path).name", name, "is no name of a schema",
                    "use up to 64 letters, digits, underscores and hyphens")
            }
        } else if members["name"]?.isNull ?? true {
            problems.add(.missingField, "\(path).name", nil, "is missing", "name the schema")
        }
        // A schema is enforced or refused either way.
        if let strict = members["strict"] { _ = bool(strict, "\(path).strict") }
        if let description = members["description"] { _ = string(description, "\(path).description") }
        guard let given = members["schema"], !given.isNull else {
            return problems.add(.missingField, "\(path).schema", nil, "is missing", "give a JSON Schema")
        }
        set(schema(given, "\(path).schema"), "\(path).schema")
    }

    private mutating func readStructuredOutputs(_ value: JSONNode, _ path: String) {
        let kinds = ["json", "regex", "choice", "grammar", "json_object", "structural_tag"]
        let options = [
            "disable_any_whitespace", "disable_fallback", "disable_additional_properties", "whitespace_pattern",
        ]
        guard let members = members(value, path, kinds + options) else { return }
        // Without a say, JSON is compact: models tend to write spaces without end.
        var allowsWhitespace = false
        if let disabled = members["disable_any_whitespace"],
            let given = bool(disabled, "\(path).disable_any_whitespace")
        {
            allowsWhitespace = !given
        }
        // There is one engine, so there is nothing to fall back to.
        if let fallback = members["disable_fallback"] { _ = bool(fallback, "\(path).disable_fallback") }
        for (name, neutral) in [
            ("disable_additional_properties", JSONValue.bool(false)), ("whitespace_pattern", .null),
        ] {
            guard let given = members[name], !given.isNull, !given.equals(neutral) else { continue }
            problems.add(
                .unsupportedField, "\(path).\(name)", given, "is not supported",
                name == "whitespace_pattern"
                    ? "set disable_any_whitespace" : "write additionalProperties into the schema")
        }
        var isGiven = false
        for name in kinds {
            guard let given = members[name], !given.isNull else { continue }
            let place = "\(path).\(name)"
            isGiven = true
            switch name {
            case "json": set(schema(given, place), place, allowsWhitespace: allowsWhitespace)
            case "regex": set(grammarText(given, place, most: Self.longestRegex).map { .regex($0) }, place)
            case "choice": set(choices(given, place).map { .choice($0) }, place)
            case "grammar": set(grammarText(given, place, most: Self.longestGrammar).map { .lark($0) }, place)
            case "json_object":
                if bool(given, place) == true { set(Self.anyObject, place, allowsWhitespace: allowsWhitespace) }
            default:
                problems.add(.unsupportedField, place, nil, "is not supported", "use json, regex, choice or grammar")
            }
        }
        if !isGiven {
            problems.add(
                .missingField, path, nil, "asks for nothing", "give one of \(kinds.dropLast().joined(separator: ", "))")
        }
    }

    /// The members of an object that has no others than `known`, by their names.
    mutating func members(_ node: JSONNode, _ path: String, _ known: [String]) -> [String: JSONNode]? {
        guard node.kind == .object else {
            problems.addType(path, node, wanted: "an object")
            return nil
        }
        var members: [String: JSONNode] = [:]
        for (key, value) in node.members {
            let name = key.string
            guard known.contains(name) else {
                let nearest = NearestName.of(name, among: known)
                problems.add(
                    .unknownField, "\(path).\(Excerpt.shortened(name))", nil, "is not a field of it",
                    nearest.map { "did you mean \($0)?" } ?? "remove it")
                continue
            }
            if members.updateValue(value, forKey: name) != nil {
                problems.add(.duplicateKey, "\(path).\(name)", nil, "is given twice", "keep one")
            }
        }
        return members
    }

    /// A schema, as an object or as JSON in a string.
    private mutating func schema(_ node: JSONNode, _ path: String) -> GrammarSource.Kind? {
        let text: String
        if node.kind == .string {
            text = node.string
        } else {
            guard node.kind == .object || node.kind == .bool else {
                problems.addType(path, node, wanted: "a JSON Schema")
                return nil
            }
            guard let value = jsonValue(node, path) else { return nil }
            text = value.text
        }
        return isShort(text, path) ? .json(text) : nil
    }

    /// Whether the text of a schema has a size that is accepted; reports it otherwise.
    mutating func isShort(_ schema: String, _ path: String) -> Bool {
        let size = schema.utf8.count
        if size <= Self.longestSchema { return true }
        problems.add(.invalidValue, path, nil, "has \(size) bytes", "use at most \(Self.longestSchema)")
        return false
    }

    private mutating func grammarText(_ node: JSONNode, _ path: String, most: Int) -> String? {
        guard let text = string(node, path) else { return nil }
        guard !text.isEmpty, text.utf8.count <= most, !text.utf8.contains(0) else {
            let complaint =
                text.isEmpty ? "is empty" : text.utf8.contains(0) ? "has U+0000" : "has \(text.utf8.count) bytes"
            problems.add(.invalidValue, path, nil, complaint, "give a text of at most \(most) bytes without U+0000")
            return nil
        }
        return text
    }

    private mutating func choices(_ node: JSONNode, _ path: String) -> [String]? {
        guard node.kind == .array else {
            problems.addType(path, node, wanted: "an array of strings")
            return nil
        }
        var choices: [String] = []
        var bytes = 0
        for (index, element) in node.elements.enumerated() {
            guard let text = string(element, "\(path)[\(index)]") else {
                if element.isNull { problems.addType("\(path)[\(index)]", element, wanted: "a string") }
                return nil
            }
            guard !text.isEmpty, !text.utf8.contains(0) else {
                problems.add(
                    .invalidValue, "\(path)[\(index)]", element, text.isEmpty ? "is empty" : "has U+0000", "give a text"
                )
                return nil
            }
            choices.append(text)
            bytes += text.utf8.count
        }
        guard !choices.isEmpty, choices.count <= Self.mostChoices, bytes <= Self.longestGrammar else {
            problems.add(
                .invalidValue, path, nil, choices.isEmpty ? "is empty" : "has \(choices.count) texts of \(bytes) bytes",
                "give 1 to \(Self.mostChoices) texts of at most \(Self.longestGrammar) bytes together")
            return nil
        }
        return choices
    }
}
