// Output lines and prompt files as the tests look at them.

import Foundation
import Testing

/// A parsed output line.
struct ResultLine {
    let json: [String: Any]

    init(_ line: String) throws {
        json = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }

    var customID: String { json["custom_id"] as? String ?? "" }
    var response: [String: Any]? { json["response"] as? [String: Any] }
    var status: Int? { response?["status_code"] as? Int }
    var body: [String: Any]? { response?["body"] as? [String: Any] }
    var choice: [String: Any]? { (body?["choices"] as? [[String: Any]])?.first }
    var text: String? { choice?["text"] as? String ?? (choice?["message"] as? [String: Any])?["content"] as? String }
    var finishReason: String? { choice?["finish_reason"] as? String }
    var tokenIDs: [Int]? { choice?["token_ids"] as? [Int] }
    var promptTokenIDs: [Int]? { choice?["prompt_token_ids"] as? [Int] }
    var usage: [String: Any]? { body?["usage"] as? [String: Any] }
    var timings: [String: Any]? { json["ttbatch"] as? [String: Any] }
    var errorCode: String? {
        let inside = (body?["error"] as? [String: Any])?["code"] as? String
        return inside ?? (json["error"] as? [String: Any])?["code"] as? String
    }

    /// Lines by custom_id; each id once.
    static func byID(_ lines: [String]) throws -> [String: ResultLine] {
        var results: [String: ResultLine] = [:]
        for line in lines {
            let result = try ResultLine(line)
            #expect(results.updateValue(result, forKey: result.customID) == nil, "\(result.customID) came twice")
        }
        return results
    }
}

/// A request line with `fields` in its body.
func requestLine(_ id: String, url: String = "/v1/completions", _ fields: [String: Any]) throws -> String {
    let object: [String: Any] = ["custom_id": id, "method": "POST", "url": url, "body": fields]
    let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
    return String(decoding: data, as: UTF8.self)
}

/// One JSON object of a program's output.
func jsonObject(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
}
