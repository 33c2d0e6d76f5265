// `/v1/models`: the model that online requests run on.

package import HTTPExchange
package import Hummingbird
import JSONText
import Platform
import Runtime
package import Serving

/// Lists the loaded model.
package struct ModelRoutes: Sendable {
    private let live: LiveModel

    /// Routes to the model that `live` tells of.
    package init(live: LiveModel) { self.live = live }

    package func add(to router: Router<ServerContext>) {
        router.get("/v1/models") { [live] _, context in
            try context.caller.requireRead()
            let models = live.current.map { [Self.object($0)] } ?? []
            let list: JSONValue = ["object": "list", "data": .array(models)]
            return Response(json: Array(list.text.utf8))
        }
        router.get("/v1/models/:model") { [live] _, context in
            try context.caller.requireRead()
            let name = context.parameters.get("model") ?? ""
            guard let model = live.current, model.isCalled(name) else { throw APIError.noModel(name) }
            return Response(json: Array(Self.object(model).text.utf8))
        }
    }

    private static func object(_ model: OnlineModel) -> JSONValue {
        [
            "id": .string(model.shownName), "object": "model", "created": .int(model.loadedAt.rawValue / 1000),
            "owned_by": "ttbatch", "max_model_len": .int(Int64(model.limits.maxModelLen)),
        ]
    }
}

extension APIError {
    /// No model of this name is served.
    static func noModel(_ name: String) -> APIError {
        .notFound(
            "the model \(quoted(name)) is not served here; GET /v1/models tells which one is", param: "model",
            code: "model_not_found")
    }
}
