// Whether the server lives, whether it can answer, and which version it is: for monitors, which need no key.

package import HTTPExchange
package import Hummingbird
import Serving
import Settings

/// `/health`, `/ready` and `/version`.
package struct StateRoutes: Sendable {
    private let live: LiveModel

    /// Routes to the model that `live` tells of.
    package init(_ served: ServedQueue) { live = served.live }

    package func add(to router: Router<ServerContext>) {
        router.get("/health") { _, _ in Response(status: .ok) }
        router.get("/ready") { [live] _, _ in
            guard live.current != nil else { throw APIError.unavailable("no model is loaded yet") }
            return Response(status: .ok)
        }
        router.get("/version") { _, _ in Response(json: Array(#"{"version":"\#(Version.current)"}"#.utf8)) }
    }
}
