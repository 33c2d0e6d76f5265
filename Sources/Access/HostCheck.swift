// Requests that a browser was led to make by another site are refused: a foreign name in Host (DNS rebinding), or a foreign
// Origin where something could change.

package import HTTPExchange
import HTTPTypes
package import Hummingbird
import NIOCore
import Settings

/// Checks Host and Origin.
package struct HostCheck: RouterMiddleware {
    /// Names by which the server is known, in lower case; nil: by any.
    private let names: Set<String>?

    /// Checks the names of a server: besides `localhost` and the address that a connection came to, those of its settings.
    package init(_ served: ServedQueue) {
        let names = served.address.names.map { $0 + served.configuration.server.hosts }
        self.names = names.map { Set($0.map { $0.lowercased() }) }
    }

    package func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let authority = request.head.authority?.lowercased() ?? ""
        if let names {
            let host = Self.host(of: authority)
            guard host == "localhost" || names.contains(host) || host == Self.address(of: context.channel) else {
                throw APIError(
                    status: .misdirectedRequest, type: "invalid_request_error",
                    message: "\(APIError.quoted(host)) is not this server's name; add it to server.hosts if it is",
                    code: "unknown_host")
            }
        }
        if let origin = request.headers[.origin], request.method != .get, request.method != .head {
            guard origin.lowercased().split(separator: "/").dropFirst().joined() == authority, !authority.isEmpty else {
                throw APIError(
                    status: .forbidden, type: "invalid_request_error",
                    message: "the request comes from another site, \(APIError.quoted(origin))", code: "foreign_origin")
            }
        }
        return try await next(request, context)
    }

    /// The address that a connection came to.
    private static func address(of channel: any Channel) -> String? {
        guard let address = channel.localAddress?.ipAddress else { return nil }
        // An IPv6 socket takes connections of IPv4 too.
        return address.hasPrefix("::ffff:") ? String(address.dropFirst(7)) : address
    }

    /// The host of `name:port` or `[address]:port`.
    private static func host(of authority: String) -> String {
        if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
        return String(authority.prefix { $0 != ":" })
    }
}

extension ServerAddress {
    /// The names that its clients may use; nil: any, since no browser reaches it.
    fileprivate var names: [String]? {
        switch self {
        case .tcp(let host, _): [host]
        case .unix: nil
        }
    }
}
