// Reads the golden files that `golden/make_golden.py` writes; its header describes the encoding of values.

import Foundation
import Jinja

/// A value as the golden files encode it.
struct GoldenValue: Decodable {
    let value: JinjaValue

    private enum Key: String, CodingKey { case i, f, o }

    init(from decoder: any Decoder) throws {
        if let keyed = try? decoder.container(keyedBy: Key.self) {
            value = try Self.tagged(keyed)
            return
        }
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            value = .null
        } else if let flag = try? single.decode(Bool.self) {
            value = .bool(flag)
        } else if let text = try? single.decode(String.self) {
            value = .string(text)
        } else {
            value = .array(try single.decode([GoldenValue].self).map(\.value))
        }
    }

    private static func tagged(_ keyed: KeyedDecodingContainer<Key>) throws -> JinjaValue {
        if let integer = try keyed.decodeIfPresent(Int.self, forKey: .i) { return .int(integer) }
        if let float = try keyed.decodeIfPresent(String.self, forKey: .f) { return .float(Double(float)!) }
        return .object(
            try keyed.decode([[GoldenValue]].self, forKey: .o).map { pair in
                guard case .string(let key) = pair[0].value else { fatalError("a golden key is not a string") }
                return (key, pair[1].value)
            })
    }

    /// The members of an encoded object as template variables.
    var variables: [String: JinjaValue] {
        guard case .object(let members) = value else { return [:] }
        return Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    }
}

struct GoldenSnippets: Decodable {
    struct Case: Decodable, Sendable {
        let source: String
        /// nil where jinja2 raises an error, in parsing or rendering.
        let output: String?

    }

    let context: GoldenValue
    let cases: [Case]
}

struct GoldenChats: Decodable {
    struct Chat: Decodable {
        let name: String
        let source: String
        let outputs: [String: String?]
    }

    let common: GoldenValue
    let conversations: [String: GoldenValue]
    let templates: [Chat]

    func variables(of conversation: String) -> [String: JinjaValue] {
        common.variables.merging(conversations[conversation]!.variables) { $1 }
    }
}

enum Golden {
    static func load<T: Decodable>(_ type: T.Type, _ name: String) throws -> T {
        let url = Bundle.module.url(forResource: name, withExtension: "json")!
        return try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }

    /// The clock that `make_golden.py` uses: 2024-07-06 09:05:03.
    static let environment = RenderEnvironment { WallClockTime(secondsSinceEpoch: 1_720_256_703) }

    /// The rendered text, nil for any error.
    static func render(_ source: String, _ variables: [String: JinjaValue]) -> Result<String, JinjaError> {
        Result { () throws(JinjaError) in try Template(source).render(variables, environment: environment) }
    }
}
