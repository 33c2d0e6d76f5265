// The keywords of JSON Schema: which are enforced, which say nothing about a text, and which cannot be enforced.

/// What a keyword's value is.
enum KeywordValue {
    /// A schema.
    case schema
    /// A schema or an array of schemas (`items` before draft 2020-12).
    case schemaOrSchemas
    /// An array of schemas.
    case schemas
    /// An object whose members are schemas.
    case schemaMap
    /// An object whose members are schemas that only references reach.
    case definitions
    /// A reference within the schema.
    case reference
    /// A count: an integer of at least 0.
    case count
    /// A number.
    case number
    /// A name of a type, or an array of them.
    case type
    /// An array of strings.
    case strings
    /// An array of at least one value.
    case values
    /// The name of a format.
    case format
    /// A regular expression.
    case pattern
    /// Any value.
    case any
    /// Anything: the keyword is an annotation.
    case annotation
}

/// The table of keywords: llguidance's, and what is said of them in docs/structured-output.md.
enum SchemaKeywords {
    static let enforced: [String: KeywordValue] = [
        "anyOf": .schemas, "oneOf": .schemas, "allOf": .schemas, "$ref": .reference, "const": .any, "enum": .values,
        "type": .type,
        "items": .schemaOrSchemas, "additionalItems": .schema, "prefixItems": .schemas, "minItems": .count,
        "maxItems": .count,
        "properties": .schemaMap, "additionalProperties": .schema, "patternProperties": .schemaMap,
        "required": .strings, "minProperties": .count, "maxProperties": .count,
        "minLength": .count, "maxLength": .count, "pattern": .pattern, "format": .format,
        "minimum": .number, "maximum": .number, "exclusiveMinimum": .any, "exclusiveMaximum": .any,
        "multipleOf": .number,
        "$defs": .definitions, "definitions": .definitions,
    ]

    static let annotations: Set<String> = [
        "$anchor", "$schema", "$id", "id", "$comment", "title", "description", "default", "readOnly", "writeOnly",
        "examples", "example", "deprecated", "contentMediaType", "contentEncoding", "discriminator",
    ]

    /// Keywords of JSON Schema that cannot be enforced, with what to do instead.
    static let unsupported: [String: String] = [
        "not": "describe what is allowed instead",
        "if": "use anyOf with one schema for each case", "then": "use anyOf with one schema for each case",
        "else": "use anyOf with one schema for each case",
        "uniqueItems": "remove it, and check the result", "contains": "describe all items instead",
        "minContains": "describe all items instead", "maxContains": "describe all items instead",
        "propertyNames": "use patternProperties", "dependencies": "use anyOf with one schema for each case",
        "dependentRequired": "use anyOf with one schema for each case",
        "dependentSchemas": "use anyOf with one schema for each case",
        "unevaluatedProperties": "use additionalProperties", "unevaluatedItems": "use items",
        "contentSchema": "remove it", "$dynamicRef": "use $ref", "$dynamicAnchor": "use $defs",
        "$recursiveRef": "use $ref", "$recursiveAnchor": "use $defs", "$vocabulary": "remove it",
        "nullable": "use \"type\": [\"string\", \"null\"]",
        "x-guidance": "remove it: the request's own fields say how whitespace is written",
    ]

    static let types: Set<String> = ["null", "boolean", "integer", "number", "string", "array", "object"]

    static let formats: Set<String> = [
        "date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri",
    ]
}
