// Errors become answers: every one has a body that OpenAI's clients can read, and tells nothing that is not the caller's.

package import Hummingbird
import Logging
import NIOCore
package import StoreContract

/// Turns errors into answers. What is not for the caller is logged.
package struct ErrorAnswers<Context: RequestContext>: RouterMiddleware {
    package init() {}

    package func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as APIError {
            return Response(error)
        } catch let error as JobStoreError {
            if let error = APIError(error) { return Response(error) }
            context.logger.error("\(request.method) \(request.uri.path): \(error)")
            return Response(Self.internalError)
        } catch let error as any HTTPResponseError {
            let message =
                switch error.status {
                case .notFound: "there is no such path"
                case .contentTooLarge: "the body is too large"
                case .methodNotAllowed: "the path has no such method"
                default: "the request cannot be read"
                }
            return Response(APIError(status: error.status, type: "invalid_request_error", message: message))
        } catch  where Task.isCancelled || error is IOError || error is ChannelError {
            // Nobody waits for the answer any more: the connection is gone. Files have other errors than connections.
            throw error
        } catch {
            context.logger.error("\(request.method) \(request.uri.path): \(error)")
            return Response(Self.internalError)
        }
    }

    private static var internalError: APIError {
        APIError(
            status: .internalServerError, type: "server_error", message: "an error of the server; its log tells more")
    }
}

extension APIError {
    /// An error of the store that is the caller's to know; nil if it is the server's own trouble.
    package init?(_ error: JobStoreError) {
        switch error {
        case .batchNotFound: self = .notFound("\(error)")
        case .batchIsDraft, .batchAlreadyFinished, .batchNotFinished, .nothingToRetry: self = .conflict("\(error)")
        case .nameTaken: self = .conflict("\(error)", code: "name_taken")
        case .diskFull:
            self.init(
                status: .init(code: 507, reasonPhrase: "Insufficient Storage"), type: "server_error",
                message: "the server's disk is full; nothing that was acknowledged is lost")
        case .busy: self = .unavailable("the queue is busy; try again")
        default: return nil
        }
    }
}

extension Response {
    /// An answer that tells an error.
    package init(_ error: APIError) {
        self.init(json: error.body, status: error.status)
        if let seconds = error.retryAfter { headers[.retryAfter] = "\(seconds)" }
        // OpenAI's clients would repeat it, and the object stays in its state.
        if error.status == .conflict { headers[.init("x-should-retry")!] = "false" }
        if error.status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
    }

    /// An answer that is JSON.
    package init(json: [UInt8], status: HTTPResponse.Status = .ok) {
        self.init(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
    }
}
