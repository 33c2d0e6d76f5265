// `/v1/completions` and `/v1/chat/completions`: a request, its answer, or the answer as it grows.

import Foundation
package import HTTPExchange
package import Hummingbird
import JSONText
package import OpenAIFormats
import Platform
import Prompts
import Runtime
package import Serving

/// Answers requests on the loaded model.
package struct CompletionRoutes: Sendable {
    /// Answers a request that is to be kept: the body, its endpoint, the model that it can run on, and who asks.
    package typealias StoredAnswer = @Sendable ([UInt8], Endpoint, _ model: String, Caller) async throws -> Response

    private let live: LiveModel
    private let storedAnswer: StoredAnswer
    /// Long prompts take a while, and a template may take a second; other requests do not wait for that.
    private let threads = BlockingThreads(count: 2)
    private static let mostBytes = 16 << 20

    /// Routes to the model that `live` tells of.
    package init(live: LiveModel, storedAnswer: @escaping StoredAnswer) {
        self.live = live
        self.storedAnswer = storedAnswer
    }

    package func add(to router: Router<ServerContext>) {
        router.post("/v1/embeddings") { _, _ -> Response in
            throw APIError.invalid(
                "embeddings are not supported: this server generates text (/v1/completions, /v1/chat/completions)",
                code: "unsupported_endpoint")
        }
        for endpoint in Endpoint.allCases {
            router.post(RouterPath(endpoint.rawValue)) { request, context in
                try context.caller.requireSubmit()
                let body = Array(try await request.body.collect(upTo: Self.mostBytes).readableBytesView)
                let asked = try await threads.run { try read(body, endpoint) }
                guard asked.body.asksToBeStored else { return try await answer(asked, endpoint) }
                guard !asked.body.asksForStream else {
                    throw APIError.invalid(
                        "a request with store cannot be streamed; leave one of them out", param: "stream")
                }
                return try await storedAnswer(body, endpoint, asked.model.name, context.caller)
            }
        }
    }

    /// A request that can run on the loaded model.
    private struct Asked: Sendable {
        let body: OpenAIFormats.RequestBody
        let prepared: PreparedRequest
        let model: OnlineModel
        let received: Milliseconds
    }

    private func read(_ bytes: [UInt8], _ endpoint: Endpoint) throws(APIError) -> Asked {
        let body: OpenAIFormats.RequestBody
        do throws(InvalidRequest) { body = try OpenAIFormats.RequestBody.parse(bytes, endpoint: endpoint) } catch {
            let problem = error.problems.first
            throw APIError.invalid("\(error)", param: problem?.param, code: problem?.code.rawValue)
        }
        guard let model = live.current else {
            throw APIError.unavailable("no model is loaded at the moment; try again later")
        }
        if let name = body.model, !model.isCalled(name) { throw APIError.noModel(name) }
        let now = TimeSource.system.now
        do throws(UnfitRequest) {
            let prepared = try model.preparer.prepare(
                bytes, url: endpoint.rawValue, enqueued: now, seed: .random(in: .min ... .max))
            return Asked(body: body, prepared: prepared, model: model, received: now)
        } catch {
            throw APIError.invalid(error.description, param: error.param)
        }
    }

    private func answer(_ asked: Asked, _ endpoint: Endpoint) async throws -> Response {
        let (body, prepared, model) = (asked.body, asked.prepared, asked.model)
        let id =
            (endpoint == .completions ? "cmpl-" : "chatcmpl-") + UUID().uuidString.filter { $0 != "-" }.lowercased()
        let answer = OnlineAnswer(
            endpoint: endpoint, id: id, created: asked.received.rawValue / 1000, model: body.model ?? model.shownName,
            seed: prepared.seed)
        let streamsPieces = body.asksForStream && prepared.output.isPlain
        let events: AsyncStream<OnlineEvent>
        do throws(OnlineFailure) {
            events = try model.requests.submit(prepared, streams: streamsPieces)
        } catch {
            throw APIError(error, promptField: prepared.promptField)
        }
        if body.asksForStream { return answer.stream(events, includesUsage: body.streamsUsage) }
        for await event in events {
            switch event {
            case .text: break
            case .failed(let failure): throw APIError(failure, promptField: prepared.promptField)
            case .finished(let finished):
                var output: [UInt8] = []
                answer.completion(finished).encodeBody(into: &output)
                return Response(json: output)
            }
        }
        throw APIError(OnlineFailure.unloaded)
    }
}

extension APIError {
    /// The answer to a request without a result.
    ///
    /// - Parameter promptField: the field that a refusal refers to which names none.
    init(_ failure: OnlineFailure, promptField: String? = nil) {
        switch failure {
        case .busy:
            self.init(
                status: .tooManyRequests, type: "rate_limit_error", message: "\(failure)", code: "rate_limit_exceeded",
                retryAfter: 1)
        case .refused(let refusal):
            self = .invalid(refusal.description, param: refusal.field ?? promptField, code: refusal.code)
        case .noToken: self = .invalid("\(failure)", code: "no_token_allowed")
        case .device: self = .unavailable("the device failed; try again later")
        case .unloaded: self = .unavailable("\(failure)")
        }
    }
}
