// A request's schema in the form in which llguidance gets it.

import JSONText
import Sampling

/// Makes the text of a schema for llguidance: with the options that it reads there, and without what it takes too widely.
enum SchemaText {
    /// - Throws: `JSONValue.ReadError` if `schema` is no JSON.
    static func guidance(_ schema: String, allowsWhitespace: Bool) throws -> String {
        text(rewritten(try JSONValue(parsing: Array(schema.utf8)), root: "#"), allowsWhitespace: allowsWhitespace)
    }

    /// The schema of an array of one call or several.
    ///
    /// - Throws: `JSONValue.ReadError` if parameters are no JSON.
    static func guidance(callsOf functions: [GrammarSource.Function], mayBeSeveral: Bool) throws -> String {
        let calls = try functions.enumerated().map { index, function -> JSONValue in
            let root = "#/items/anyOf/\(index)/properties/parameters"
            let parameters = rewritten(try JSONValue(parsing: Array(function.parameters.utf8)), root: root)
            return [
                "type": "object", "properties": ["name": ["const": .string(function.name)], "parameters": parameters],
                "required": ["name", "parameters"], "additionalProperties": false,
            ]
        }
        var members: [JSONValue.Member] = [
            .init("type", "array"), .init("minItems", 1), .init("items", ["anyOf": .array(calls)]),
        ]
        if !mayBeSeveral { members.append(.init("maxItems", 1)) }
        return text(.object(members), allowsWhitespace: false)
    }

    private static func text(_ schema: JSONValue, allowsWhitespace: Bool) -> String {
        let options = JSONValue.object([.init("whitespace_flexible", .bool(allowsWhitespace))])
        var members: [JSONValue.Member] = [.init("x-guidance", options)]
        switch schema {
        case .object(let own): members += own
        case .bool(true): break
        case let other: members.append(.init("anyOf", .array([other])))
        }
        return JSONValue.object(members).text
    }

    /// llguidance allows a second 60 in every minute, which RFC 3339 allows at the end of few days only.
    private static let withoutLeapSeconds: JSONValue.Member = .init("pattern", .string("^[^:]*:[^:]*:[0-5]"))

    /// - Parameter root: where the schema stands to which its references refer.
    private static func rewritten(_ schema: JSONValue, root: String) -> JSONValue {
        func rewritten(_ schema: JSONValue) -> JSONValue { self.rewritten(schema, root: root) }
        guard case .object(var members) = schema else { return schema }
        for index in members.indices {
            guard let kind = SchemaKeywords.enforced[members[index].key] else { continue }
            switch (kind, members[index].value) {
            case (.reference, .string(let place)) where place.hasPrefix("#"):
                members[index].value = .string(root + place.dropFirst())
            case (.schema, let value): members[index].value = rewritten(value)
            case (.schemaOrSchemas, .array(let elements)), (.schemas, .array(let elements)):
                members[index].value = .array(elements.map(rewritten))
            case (.schemaOrSchemas, let value): members[index].value = rewritten(value)
            case (.schemaMap, .object(let schemas)), (.definitions, .object(let schemas)):
                members[index].value = .object(schemas.map { .init($0.key, rewritten($0.value)) })
            default: break
            }
        }
        guard
            members.contains(where: {
                $0.key == "format" && [.string("time"), .string("date-time")].contains($0.value)
            })
        else { return .object(members) }
        if members.contains(where: { $0.key == "pattern" }) {
            return .object([.init("allOf", .array([.object(members), .object([withoutLeapSeconds])]))])
        }
        return .object(members + [withoutLeapSeconds])
    }
}
