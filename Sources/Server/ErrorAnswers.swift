// Errors as OpenAI's API answers with them: every one has a body that its clients can read.

import Hummingbird
import JSONText
import Logging

/// An error for the caller.
struct APIError: Error {
    /// The HTTP status.
    var status: HTTPResponse.Status
    /// `invalid_request_error`, `rate_limit_error`, `server_error` …
    var type: String
    /// What is wrong, and what to do about it.
    var message: String
    /// The field at fault; nil if it is none.
    var param: String?
    /// A code for programs; nil if there is none.
    var code: String?
    /// After how many seconds another attempt is worth while; nil if that is not known.
    var retryAfter: Int?

    /// A request that cannot be answered as it is.
    static func invalid(_ message: String, param: String? = nil, code: String? = nil) -> APIError {
        APIError(
            status: .badRequest, type: "invalid_request_error", message: message, param: param, code: code)
    }

    /// No model of this name is served.
    static func noModel(_ name: String) -> APIError {
        APIError(
            status: .notFound, type: "invalid_request_error",
            message: "the model \(Self.quoted(name)) is not served here; GET /v1/models tells which one is",
            param: "model", code: "model_not_found")
    }

    /// Nothing can be answered now.
    static func unavailable(_ message: String) -> APIError {
        APIError(status: .serviceUnavailable, type: "server_error", message: message, retryAfter: 5)
    }

    /// The object of OpenAI's API.
    var body: [UInt8] {
        let error: JSONValue = [
            "error": [
                "message": .string(message), "type": .string(type), "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ]
        ]
        return Array(error.text.utf8)
    }

    /// A name of the caller in a message: short, and with nothing that a terminal obeys.
    static func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(80).map { $0.properties.generalCategory == .control ? "?" : String($0) }
        return "\"\(shown.joined())\(text.unicodeScalars.count > 80 ? "…" : "")\""
    }
}

/// Turns errors into answers. What is not for the caller is not told.
struct ErrorAnswers<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return Response(error)
        } catch let error as any HTTPResponseError {
            let message =
                switch error.status {
                case .notFound: "there is no such path"
                case .contentTooLarge: "the body is too large"
                case .methodNotAllowed: "the path has no such method"
                default: "the request cannot be read"
                }
            return Response(APIError(status: error.status, type: "invalid_request_error", message: message))
        } catch {
            context.logger.error("\(request.method) \(request.uri.path): \(error)")
            return Response(
                APIError(
                    status: .internalServerError, type: "server_error",
                    message: "an error of the server; its log tells more"))
        }
    }
}

extension Response {
    /// An answer that tells an error.
    init(_ error: APIError) {
        self.init(json: error.body, status: error.status)
        if let seconds = error.retryAfter { headers[.retryAfter] = "\(seconds)" }
    }

    /// An answer that is JSON.
    init(json: [UInt8], status: HTTPResponse.Status = .ok) {
        self.init(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
    }
}
