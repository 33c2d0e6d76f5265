// Finds what a JSON Schema has that cannot be enforced, and names the place.

import JSONText

/// A fault of a grammar.
public struct GrammarProblem: Sendable, Hashable {
    /// Where in the schema: `.properties.x.not`; empty for the whole grammar.
    public var path: String
    /// What is wrong, as a predicate.
    public var complaint: String
    /// What to do about it.
    public var remedy: String?

    init(_ path: String, _ complaint: String, _ remedy: String? = nil) {
        self.path = path
        self.complaint = complaint
        self.remedy = remedy
    }
}

/// Walks through a schema.
struct SchemaWalk {
    private let root: JSONValue
    private(set) var problems: [GrammarProblem] = []
    /// The schemas in it with their paths, the outer ones first.
    private(set) var schemas: [(path: String, schema: JSONValue)] = []

    static let mostDepth = 64
    static let mostSchemas = 20_000
    private static let mostProblems = 20

    /// Walks through `root` at once.
    init(_ root: JSONValue) {
        self.root = root
        visit(root, "", depth: 0)
        if schemas.count >= Self.mostSchemas {
            problems = [GrammarProblem("", "has more than \(Self.mostSchemas) schemas", "make it simpler")]
        }
    }

    private mutating func add(_ path: String, _ complaint: String, _ remedy: String? = nil) {
        if problems.count < Self.mostProblems { problems.append(GrammarProblem(path, complaint, remedy)) }
    }

    private mutating func visit(_ schema: JSONValue, _ path: String, depth: Int) {
        guard schemas.count < Self.mostSchemas else { return }
        guard depth <= Self.mostDepth else {
            return add(path, "is nested more than \(Self.mostDepth) deep", "make it flatter, with $ref")
        }
        schemas.append((path, schema))
        switch schema {
        case .bool: return
        case .object(let members):
            for member in members { visit(member, "\(path).\(Self.name(member.key))", depth) }
        default: add(path, "is no schema", "give an object, true or false")
        }
    }

    private mutating func visit(_ member: JSONValue.Member, _ path: String, _ depth: Int) {
        let (key, value) = (member.key, member.value)
        guard let kind = SchemaKeywords.enforced[key] else {
            if SchemaKeywords.annotations.contains(key) || key.hasPrefix("x-") && key != "x-guidance" { return }
            if let remedy = SchemaKeywords.unsupported[key] { return add(path, "cannot be enforced", remedy) }
            let known = Array(SchemaKeywords.enforced.keys) + Array(SchemaKeywords.unsupported.keys)
            let nearest = known.sorted().first { $0.lowercased() == key.lowercased() }
            return add(path, "is not a keyword of JSON Schema", nearest.map { "did you mean \($0)?" } ?? "remove it")
        }
        switch kind {
        case .schema: visit(value, path, depth: depth + 1)
        case .schemaOrSchemas:
            if case .array(let elements) = value {
                visit(elements, path, depth)
            } else {
                visit(value, path, depth: depth + 1)
            }
        case .schemas:
            guard case .array(let elements) = value, !elements.isEmpty else {
                return add(path, "is no array of schemas", "give at least one schema")
            }
            visit(elements, path, depth)
        case .schemaMap, .definitions:
            guard case .object(let members) = value else {
                return add(path, "is no object", "give an object of schemas")
            }
            for member in members { visit(member.value, "\(path).\(Self.name(member.key))", depth: depth + 1) }
        case .reference: checkReference(value, path)
        case .count:
            if case .int(let count) = value, count >= 0 { return }
            add(path, "is no count", "give an integer of 0 or more")
        case .number:
            switch value {
            case .int, .double: return
            default: add(path, "is no number", "give a number")
            }
        case .type: checkType(value, path)
        case .strings:
            guard case .array(let elements) = value,
                elements.allSatisfy({ if case .string = $0 { true } else { false } })
            else { return add(path, "is no array of strings", "give the names of properties") }
        case .values:
            guard case .array(let elements) = value, !elements.isEmpty else {
                return add(path, "is no array of values", "give at least one value")
            }
        case .format:
            guard case .string(let name) = value else { return add(path, "is no string", "name a format") }
            if !SchemaKeywords.formats.contains(name) {
                let known = SchemaKeywords.formats.sorted().joined(separator: ", ")
                add(path, "\(Excerpt.quoted(name)) cannot be enforced", "use one of \(known), or a pattern")
            }
        case .pattern:
            guard case .string = value else { return add(path, "is no string", "give a regular expression") }
        case .any, .annotation: return
        }
    }

    private mutating func visit(_ elements: [JSONValue], _ path: String, _ depth: Int) {
        for (index, element) in elements.enumerated() { visit(element, "\(path)[\(index)]", depth: depth + 1) }
    }

    private mutating func checkType(_ value: JSONValue, _ path: String) {
        var names = [value]
        if case .array(let elements) = value { names = elements }
        for name in names {
            guard case .string(let text) = name, SchemaKeywords.types.contains(text) else {
                return add(path, "is no type", "use \(SchemaKeywords.types.sorted().joined(separator: ", "))")
            }
        }
        if names.isEmpty { add(path, "is empty", "name a type") }
    }

    /// References of other documents cannot be followed, and those of this one must lead somewhere.
    private mutating func checkReference(_ value: JSONValue, _ path: String) {
        guard case .string(let text) = value else {
            return add(path, "is no string", "give a reference such as #/$defs/a")
        }
        guard text.hasPrefix("#") else {
            return add(path, "refers to another document", "put its schema into $defs, and refer to that")
        }
        guard text.hasPrefix("#/") else { return }
        var place = root
        for part in text.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            let key = (part.removingPercentEncoding() ?? String(part))
                .replacing("~1", with: "/").replacing("~0", with: "~")
            if case .array(let elements) = place, let index = Int(key), elements.indices.contains(index) {
                place = elements[index]
            } else if let next = place[key] {
                place = next
            } else {
                return add(
                    path, "refers to \(Excerpt.quoted(text)), which is not there", "define it, or correct the name")
            }
        }
    }

    private static func name(_ key: String) -> String { Excerpt.shortened(key) }
}

extension Substring {
    /// The text with `%41` as `A`; nil if it is not UTF-8 then.
    fileprivate func removingPercentEncoding() -> String? {
        guard contains("%") else { return String(self) }
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
