// An error as OpenAI's API answers with it.

import Foundation
package import Hummingbird
import JSONText

/// An error for the caller. Its message tells no path, host name or address of the server.
package struct APIError: Error {
    /// The HTTP status.
    package var status: HTTPResponse.Status
    /// `invalid_request_error`, `rate_limit_error`, `server_error` …
    package var type: String
    /// What is wrong, and what to do about it.
    package var message: String
    /// The field at fault; nil if it is none.
    package var param: String?
    /// A code for programs; nil if there is none.
    package var code: String?
    /// After how many seconds another attempt is worth while; nil if that is not known.
    package var retryAfter: Int?

    /// Makes an error.
    package init(
        status: HTTPResponse.Status, type: String, message: String, param: String? = nil, code: String? = nil,
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.type = type
        self.message = message
        self.param = param
        self.code = code
        self.retryAfter = retryAfter
    }

    /// A request that cannot be answered as it is.
    package static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(
            status: .badRequest, type: "invalid_request_error", message: message, param: param, code: code)
    }

    /// There is no such object, or the caller does not see it.
    package static func notFound(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(status: .notFound, type: "invalid_request_error", message: message, param: param, code: code)
    }

    /// The object is in another state than the request needs.
    package static func conflict(_ message: String, code: String? = nil) -> APIError {
        APIError(status: .conflict, type: "invalid_request_error", message: message, code: code)
    }

    /// The caller has to show a key.
    package static func unauthorized(_ message: String) -> APIError {
        APIError(
            status: .unauthorized, type: "invalid_request_error", message: message, code: "invalid_api_key")
    }

    /// Nothing can be answered now.
    package static func unavailable(_ message: String) -> APIError {
        APIError(status: .serviceUnavailable, type: "server_error", message: message, retryAfter: 5)
    }

    /// The object of OpenAI's API.
    package var body: [UInt8] {
        let error: JSONValue = [
            "error": [
                "message": .string(message), "type": .string(type), "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ]
        ]
        return Array(error.text.utf8)
    }

    /// A name of the caller in a message: short, and with nothing that a terminal obeys.
    package static func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : String($0) }
        return "\"\(shown.joined())\(text.unicodeScalars.count > 80 ? "…" : "")\""
    }
}
