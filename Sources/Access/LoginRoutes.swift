// How people log in to the page: a form for a key, and a cookie that stands for it.

package import HTTPExchange
import HTTPTypes
package import Hummingbird

/// `/login` and `/logout`.
package struct LoginRoutes: Sendable {
    private let ring: KeyRing
    private let token: FormToken

    /// Logs in with keys of `ring`; `token` marks the forms of this server.
    package init(ring: KeyRing, token: FormToken) {
        self.ring = ring
        self.token = token
    }

    package func add(to router: Router<ServerContext>) {
        router.get("/login") { _, _ in
            guard try await ring.needsKey() else { return Self.redirect(to: "/") }
            return Self.page(form(remark: nil), status: .ok)
        }
        router.post("/login") { request, _ in
            let fields = try await form(of: request)
            guard let session = try await ring.logIn(fields["key"] ?? "") else {
                return Self.page(form(remark: "This key is not valid."), status: .unauthorized)
            }
            var response = Self.redirect(to: "/")
            response.headers[.setCookie] = SessionCookie.begin(session, overTLS: request.cameOverTLS)
            return response
        }
        router.post("/logout") { request, _ in
            _ = try await form(of: request)
            if let session = request.headers.sessionToken { ring.logOut(session) }
            var response = Self.redirect(to: "/login")
            response.headers[.setCookie] = SessionCookie.end
            return response
        }
    }

    private func form(of request: Request) async throws -> FormFields {
        let fields = FormFields(String(buffer: try await request.body.collect(upTo: 4096)))
        try token.check(fields["token"])
        return fields
    }

    private static func redirect(to path: String) -> Response {
        Response(status: .seeOther, headers: [.location: path, .cacheControl: "no-store"])
    }

    private static func page(_ html: String, status: HTTPResponse.Status) -> Response {
        Response(
            status: status, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: html)))
    }

    private func form(remark: String?) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><title>ttbatch</title><meta name="viewport" content="width=device-width"></head>
        <body>
        <h1>ttbatch</h1>
        \(remark.map { "<p role=\"alert\">\($0)</p>" } ?? "")
        <form method="post" action="/login">
        <input type="hidden" name="token" value="\(token.text)">
        <label>Key <input type="password" name="key" autocomplete="current-password" autofocus required></label>
        <button>Log in</button>
        </form>
        </body>
        </html>

        """
    }
}

/// The cookie of a session. Scripts do not see it, and no other site makes a browser send it.
enum SessionCookie {
    static let name = "ttbatch_session"
    private static let attributes = "Path=/; HttpOnly; SameSite=Strict"

    static func begin(_ token: String, overTLS: Bool) -> String {
        "\(name)=\(token); Max-Age=\(Sessions.seconds); \(attributes)\(overTLS ? "; Secure" : "")"
    }

    static var end: String { "\(name)=; Max-Age=0; \(attributes)" }
}

extension Request {
    /// Whether a proxy says so. Only the attribute of a cookie depends on it.
    fileprivate var cameOverTLS: Bool { headers[HTTPField.Name("X-Forwarded-Proto")!] == "https" }
}
