// The model's tokenizer over HTTP, as vLLM has it: evaluation programs cut their texts with it.

package import HTTPExchange
package import Hummingbird
import JSONText
import OpenAIFormats
import Platform
import Prompts
import Runtime
package import Serving

/// `/tokenize`, `/detokenize` and `/tokenizer_info`.
package struct TokenizerRoutes: Sendable {
    private let live: LiveModel
    private let threads = BlockingThreads(count: 1)
    private static let mostBytes = 16 << 20

    /// Routes to the model that `live` tells of.
    package init(live: LiveModel) { self.live = live }

    package func add(to router: Router<ServerContext>) {
        router.post("/tokenize") { request, context in
            try context.caller.requireSubmit()
            let (model, members) = try await read(request)
            return Response(json: try await threads.run { try tokenize(members, model) })
        }
        router.post("/detokenize") { request, context in
            try context.caller.requireSubmit()
            let (model, members) = try await read(request)
            return Response(json: try await threads.run { try detokenize(members, model) })
        }
        router.get("/tokenizer_info") { [live] _, context in
            try context.caller.requireSubmit()
            guard let model = live.current else { throw APIError.unavailable("no model is loaded yet") }
            let markers = model.markers
            func value(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
            let info: JSONValue = [
                "bos_token": value(markers.bos), "eos_token": value(markers.eos), "pad_token": value(markers.padding),
                "chat_template": value(model.preparer.chatTemplateText),
            ]
            return Response(json: Array(info.text.utf8))
        }
    }

    private func read(_ request: Request) async throws -> (OnlineModel, [JSONValue.Member]) {
        let body = try await request.body.collect(upTo: Self.mostBytes)
        guard case .object(let members)? = try? JSONValue(parsing: Array(body.readableBytesView)) else {
            throw APIError.invalid("the body is no JSON object", code: "invalid_json")
        }
        guard let model = live.current else { throw APIError.unavailable("no model is loaded yet") }
        if case .string(let name)? = members.first(where: { $0.key == "model" })?.value, !model.isCalled(name) {
            throw APIError.noModel(name)
        }
        return (model, members)
    }

    /// The fields are those of a completion or a chat; what is about the answer has no effect here.
    private func tokenize(_ members: [JSONValue.Member], _ model: OnlineModel) throws -> [UInt8] {
        let endpoint = members.contains { $0.key == "messages" } ? Endpoint.chatCompletions : .completions
        let wantsTexts = members.contains { $0.key == "return_token_strs" && $0.value == true }
        let body = JSONValue.object(members.filter { $0.key != "return_token_strs" })
        let prepared: PreparedRequest
        do throws(UnfitRequest) {
            prepared = try model.preparer.prepare(
                Array(body.text.utf8), url: endpoint.rawValue, enqueued: TimeSource.system.now, seed: 0)
        } catch {
            throw APIError.invalid(error.description, param: error.param)
        }
        let tokens = prepared.prompts[0]
        let answer: JSONValue = [
            "count": .int(Int64(tokens.count)), "max_model_len": .int(Int64(model.limits.maxModelLen)),
            "tokens": .array(tokens.map { .int(Int64($0)) }),
            "token_strs": wantsTexts ? .array(tokens.map { .string(model.text(of: [$0])) }) : .null,
        ]
        return Array(answer.text.utf8)
    }

    private func detokenize(_ members: [JSONValue.Member], _ model: OnlineModel) throws -> [UInt8] {
        for member in members where member.key != "model" && member.key != "tokens" {
            throw APIError.invalid(
                "\(APIError.quoted(member.key)) is no field of /detokenize: give tokens", code: "unknown_field")
        }
        guard case .array(let elements)? = members.first(where: { $0.key == "tokens" })?.value else {
            throw APIError.invalid("tokens is missing: give an array of token ids", param: "tokens")
        }
        let size = model.vocabularySize
        let tokens = try elements.map { element -> Int32 in
            guard case .int(let id) = element, (0..<Int64(size)).contains(id) else {
                throw APIError.invalid(
                    "\(element.text.prefix(40)) is not one of the model's \(size) tokens",
                    param: "tokens")
            }
            return Int32(id)
        }
        let answer: JSONValue = ["prompt": .string(model.text(of: tokens))]
        return Array(answer.text.utf8)
    }
}
