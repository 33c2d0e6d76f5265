// What every answer says to browsers: believe its type, tell others nothing, and load nothing from elsewhere.

package import HTTPExchange
package import HTTPTypes
package import Hummingbird

/// Adds the headers that all answers have, with the request's name.
package struct AnswerHeaders: RouterMiddleware {
    package init() {}

    package func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        Self.add(to: &response.headers, requestID: context.requestID)
        return response
    }

    /// Adds the headers to an answer.
    package static func add(to headers: inout HTTPFields, requestID: String) {
        headers[requestIDName] = requestID
        headers[.xContentTypeOptions] = "nosniff"
        // With no-referrer a browser would hide the origin of this server's own forms too.
        headers[referrerPolicy] = "same-origin"
        headers[resourcePolicy] = "same-origin"
        guard headers[.contentType]?.hasPrefix("text/html") == true else { return }
        headers[.contentSecurityPolicy] = """
            default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
            form-action 'self'; base-uri 'none'; frame-ancestors 'none'
            """
    }

    private static let requestIDName = HTTPField.Name("x-request-id")!
    private static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    private static let resourcePolicy = HTTPField.Name("Cross-Origin-Resource-Policy")!
}
