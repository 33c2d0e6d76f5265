// A small JSON Schema validator: the keywords of the golden schemas, each as the specification defines it.

import Foundation

/// Tells what a JSON value has against a schema. A keyword that it does not know is a complaint too, so that no rule is
/// passed over. `Tests/Golden/json-schemas/check_outputs.py` asks the well-known jsonschema the same.
struct SchemaValidator {
    let root: [String: Any]

    /// The first complaint about `value`, which comes from JSONSerialization, or nil.
    func complaint(_ value: Any) -> String? { complaint(value, root) }

    private func complaint(_ value: Any, _ schema: Any) -> String? {
        if let schema = schema as? Bool { return schema ? nil : "no value is allowed here: \(value)" }
        guard let schema = schema as? [String: Any] else { return "not a schema: \(schema)" }
        for (keyword, argument) in schema {
            if let complaint = complaint(value, keyword, argument, schema) {
                return "\(keyword) \(argument): \(complaint)"
            }
        }
        return nil
    }

    private func complaint(_ value: Any, _ keyword: String, _ argument: Any, _ schema: [String: Any]) -> String? {
        switch keyword {
        case "description", "$defs": return nil
        case "$ref":
            var target: Any? = root
            for key in (argument as? String ?? "?").split(separator: "/").dropFirst() {
                target = (target as? [String: Any])?[String(key)]
            }
            return target.map { complaint(value, $0) } ?? "no such schema"
        case "type":
            let types = argument as? [String] ?? [argument as? String ?? "?"]
            return types.contains { Self.has(value, type: $0) } ? nil : "is \(value)"
        case "enum": return (argument as? [Any] ?? []).contains { Self.equal($0, value) } ? nil : "is \(value)"
        case "const": return Self.equal(argument, value) ? nil : "is \(value)"
        case "anyOf":
            let complaints = (argument as? [Any] ?? []).map { complaint(value, $0) }
            return complaints.contains(nil) ? nil : "none holds: \(complaints)"
        case "allOf": return (argument as? [Any] ?? []).lazy.compactMap { complaint(value, $0) }.first
        default: break
        }
        if let text = value as? String { return complaint(text: text, keyword, argument) }
        if let number = value as? NSNumber, !Self.isBool(number) {
            return complaint(number: number.doubleValue, keyword, argument)
        }
        if let elements = value as? [Any] { return complaint(elements: elements, keyword, argument, schema) }
        if let members = value as? [String: Any] { return complaint(members: members, keyword, argument, schema) }
        return Self.keywords.contains(keyword) ? nil : "unknown keyword"
    }

    private static let keywords: Set = [
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "items", "prefixItems", "minItems", "maxItems", "properties", "additionalProperties", "required",
        "maxProperties",
    ]

    private func complaint(text: String, _ keyword: String, _ argument: Any) -> String? {
        let length = text.unicodeScalars.count
        switch keyword {
        case "minLength": return length >= argument as? Int ?? .max ? nil : "has \(length) characters"
        case "maxLength": return length <= argument as? Int ?? -1 ? nil : "has \(length) characters"
        case "pattern": return Self.contains(text, argument as? String ?? "?") ? nil : "is \(text)"
        case "format": return Self.complaint(text, format: argument as? String ?? "?")
        default: return Self.keywords.contains(keyword) ? nil : "unknown keyword"
        }
    }

    private func complaint(number: Double, _ keyword: String, _ argument: Any) -> String? {
        let limit = (argument as? NSNumber)?.doubleValue ?? .nan
        switch keyword {
        case "minimum": return number >= limit ? nil : "is \(number)"
        case "maximum": return number <= limit ? nil : "is \(number)"
        case "exclusiveMinimum": return number > limit ? nil : "is \(number)"
        case "exclusiveMaximum": return number < limit ? nil : "is \(number)"
        case "multipleOf": return number.remainder(dividingBy: limit) == 0 ? nil : "is \(number)"
        default: return Self.keywords.contains(keyword) ? nil : "unknown keyword"
        }
    }

    private func complaint(elements: [Any], _ keyword: String, _ argument: Any, _ schema: [String: Any]) -> String? {
        let first = schema["prefixItems"] as? [Any] ?? []
        switch keyword {
        case "minItems": return elements.count >= argument as? Int ?? .max ? nil : "has \(elements.count)"
        case "maxItems": return elements.count <= argument as? Int ?? -1 ? nil : "has \(elements.count)"
        case "prefixItems": return zip(elements, first).lazy.compactMap { complaint($0, $1) }.first
        case "items": return elements.dropFirst(first.count).lazy.compactMap { complaint($0, argument) }.first
        default: return Self.keywords.contains(keyword) ? nil : "unknown keyword"
        }
    }

    private func complaint(
        members: [String: Any], _ keyword: String, _ argument: Any, _ schema: [String: Any]
    ) -> String? {
        let known = schema["properties"] as? [String: Any] ?? [:]
        switch keyword {
        case "required":
            let missing = (argument as? [String] ?? ["?"]).filter { members[$0] == nil }
            return missing.isEmpty ? nil : "without \(missing)"
        case "properties":
            return members.lazy.compactMap { name, value in known[name].flatMap { complaint(value, $0) } }.first
        case "additionalProperties":
            return members.lazy.filter { known[$0.key] == nil }.compactMap { complaint($0.value, argument) }.first
        case "maxProperties": return members.count <= argument as? Int ?? -1 ? nil : "has \(members.count)"
        default: return Self.keywords.contains(keyword) ? nil : "unknown keyword"
        }
    }

    /// Foundation reads `true` as a number of C's type `char`.
    private static func isBool(_ number: NSNumber) -> Bool { number.objCType.pointee == CChar(UInt8(ascii: "c")) }

    private static func has(_ value: Any, type: String) -> Bool {
        switch type {
        case "null": value is NSNull
        case "string": value is String
        case "array": value is [Any]
        case "object": value is [String: Any]
        case "boolean": (value as? NSNumber).map(isBool) ?? false
        case "number": (value as? NSNumber).map { !isBool($0) } ?? false
        case "integer": (value as? NSNumber).map { !isBool($0) && $0.doubleValue == $0.doubleValue.rounded() } ?? false
        default: false
        }
    }

    private static func equal(_ a: Any, _ b: Any) -> Bool {
        switch (a, b) {
        case (let a as String, let b as String): a.unicodeScalars.elementsEqual(b.unicodeScalars)
        case (let a as NSNumber, let b as NSNumber): isBool(a) == isBool(b) && a.doubleValue == b.doubleValue
        default: a is NSNull && b is NSNull
        }
    }

    private static func contains(_ text: String, _ pattern: String) -> Bool {
        // NSRegularExpression's $ also holds before a last newline, and its digits are all of Unicode's.
        let strict = pattern.replacing("$", with: "\\z").replacing("\\d", with: "[0-9]")
        return text.range(of: strict, options: .regularExpression) != nil
    }

    private static func complaint(_ text: String, format: String) -> String? {
        let time = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?([zZ]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
        let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
        let patterns = [
            "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}", "time": time, "date-time": "[0-9]{4}-[0-9]{2}-[0-9]{2}[tT]\(time)",
            "ipv4": "\(byte)(\\.\(byte)){3}", "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        ]
        guard let pattern = patterns[format] else { return "unknown format" }
        guard contains(text, "^\(pattern)$") else { return "is \(text)" }
        return format.hasPrefix("date") && !isDate(text.prefix(10)) ? "there is no such day as \(text)" : nil
    }

    private static func isDate(_ text: Substring) -> Bool {
        let parts = text.split(separator: "-").compactMap { Int($0) }
        let (year, month) = (parts[0], parts[1])
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return (1...12).contains(month) && (1...days[month - 1]).contains(parts[2])
    }
}
