// What the server knows of a request besides its parts: who sent it, and what that lets him do.

package import Hummingbird
import Logging
package import NIOCore
package import StoreContract

/// The context of a request.
package struct ServerContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// Who sent it.
    package var caller = Caller.nobody
    /// Names the request in the answer's `x-request-id` and in the log.
    package let requestID: String
    /// The connection that it came on.
    package let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        requestID = "req_" + randomHexadecimal(24)
        channel = source.channel
        logger[metadataKey: "request"] = "\(requestID)"
    }
}

/// So many random hexadecimal digits, from the system's random numbers.
package func randomHexadecimal(_ digits: Int) -> String {
    var random = SystemRandomNumberGenerator()
    return (0..<digits).map { _ in String(Int.random(in: 0..<16, using: &random), radix: 16) }.joined()
}

/// Who sent a request.
package struct Caller: Sendable, Hashable {
    /// Whose objects the caller sees and makes; nil: everybody's.
    package let tenant: Tenant?
    /// What the caller may do.
    package let scopes: Set<KeyScope>

    /// A caller with a key.
    package init(tenant: Tenant?, scopes: Set<KeyScope>) {
        self.tenant = tenant
        self.scopes = scopes
    }

    /// Somebody without a key, on a path that needs none.
    package static let nobody = Caller(tenant: nil, scopes: [])

    /// Whoever reaches a server without keys.
    package static let anybody = Caller(tenant: nil, scopes: Set(KeyScope.allCases))

    /// Whether the caller may do what needs a scope: `admin` includes all, and `submit` includes `read`.
    package func may(_ scope: KeyScope) -> Bool {
        scopes.contains(scope) || scopes.contains(.admin) || (scope == .read && scopes.contains(.submit))
    }

    /// Throws 403 unless the caller may do what needs `scope`.
    package func require(_ scope: KeyScope) throws(APIError) {
        guard !may(scope) else { return }
        throw APIError(
            status: .forbidden, type: "invalid_request_error",
            message: "this key does not have the scope \(scope.rawValue)", code: "insufficient_scope")
    }

    /// `require(.submit)`, for routes that know no store.
    package func requireSubmit() throws(APIError) { try require(.submit) }

    /// `require(.read)`, for routes that know no store.
    package func requireRead() throws(APIError) { try require(.read) }
}
