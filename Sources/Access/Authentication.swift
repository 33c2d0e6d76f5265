// Who asks: a key in a header, or the session of somebody who logged in. It is settled before any body is read.

package import HTTPExchange
import HTTPTypes
package import Hummingbird

/// Refuses requests without a valid key, and tells the others' caller to the routes.
package struct Authentication: RouterMiddleware {
    private let ring: KeyRing
    /// What needs no key.
    private static let open: Set<String> = ["/health", "/login"]

    /// Checks keys of `ring`.
    package init(_ ring: KeyRing) { self.ring = ring }

    package func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if Self.open.contains(request.uri.path) {
            context.caller = .nobody
            return try await next(request, context)
        }
        do {
            context.caller = try await ring.caller(
                showing: request.headers.shownKey, session: request.headers.sessionToken)
        } catch let error as APIError where error.status == .unauthorized && request.isOfPerson {
            return Response(status: .seeOther, headers: [.location: "/login"])
        }
        return try await next(request, context)
    }
}

extension Request {
    /// Whether a browser asks for a page.
    fileprivate var isOfPerson: Bool {
        method == .get && headers.shownKey == nil && headers[.accept]?.contains("text/html") == true
    }
}

extension HTTPFields {
    /// The text of the key in `Authorization: Bearer` or `X-Api-Key`; nil if there is none, or an empty one.
    fileprivate var shownKey: String? {
        if let text = self[.authorization] {
            let words = text.split(separator: " ", maxSplits: 1)
            if let scheme = words.first, scheme.lowercased() == "bearer" {
                if words.count > 1 { return String(words[1]) }
            } else if !text.isEmpty {
                // Another kind of credentials, which is never valid.
                return ""
            }
        }
        return self[.apiKey].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The token in the session's cookie.
    var sessionToken: String? {
        for cookie in self[values: .cookie].flatMap({ $0.split(separator: ";") }) {
            let parts = cookie.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0].trimmed == SessionCookie.name { return parts[1].trimmed }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}

extension HTTPField.Name {
    fileprivate static let apiKey = HTTPField.Name("X-Api-Key")!
}
