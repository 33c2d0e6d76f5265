// What the server is, and which model it serves.

import Hummingbird
import JSONText
import Platform
import Runtime
import Serving
import Settings

/// `/health`, `/ready`, `/version` and `/v1/models`.
struct ModelRoutes: Sendable {
    let live: LiveModel

    func add<Context: RequestContext>(to router: Router<Context>) {
        router.get("/health") { _, _ in Response(status: .ok) }
        router.get("/ready") { [live] _, _ in
            guard live.current != nil else { throw APIError.unavailable("no model is loaded yet") }
            return Response(status: .ok)
        }
        router.get("/version") { _, _ in Response(json: Array(Self.version.text.utf8)) }
        router.get("/v1/models") { [live] _, _ in
            let models = live.current.map { [Self.object($0)] } ?? []
            let list: JSONValue = ["object": "list", "data": .array(models)]
            return Response(json: Array(list.text.utf8))
        }
        router.get("/v1/models/:model") { [live] _, context in
            let name = context.parameters.get("model") ?? ""
            guard let model = live.current, model.isCalled(name) else { throw APIError.noModel(name) }
            return Response(json: Array(Self.object(model).text.utf8))
        }
    }

    private static let version: JSONValue = ["version": .string(Version.current)]

    private static func object(_ model: OnlineModel) -> JSONValue {
        [
            "id": .string(model.shownName), "object": "model", "created": .int(model.loadedAt.rawValue / 1000),
            "owned_by": "ttbatch", "max_model_len": .int(Int64(model.limits.maxModelLen)),
        ]
    }
}
