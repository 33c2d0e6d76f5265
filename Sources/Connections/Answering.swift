// How requests of a connection are answered: their context, and what every answer has of HTTP.

import Glibc
package import HTTPExchange
package import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Settings

extension HTTP1Channel {
    /// Answers requests as `responder` does.
    init(_ settings: ServerSettings, answering responder: RouterResponder<ServerContext>, log: Logger) {
        let times = ConnectionTimes(
            head: .seconds(Int64(settings.headTimeoutS)), stall: .seconds(Int64(settings.stallTimeoutS)),
            idle: .seconds(Int64(settings.idleTimeoutS)))
        self.init(
            responder: { request, writer, channel in
                let context = ServerContext(source: ApplicationRequestContextSource(channel: channel, logger: log))
                var response = try await responder.respond(to: request, context: context)
                // Also of an error: the client would take its body for the next answer.
                if request.method == .head { response = response.createHeadResponse() }
                response.headers[.date] = httpDate()
                let body = try await writer.writeHead(response.head)
                try await response.body.write(body)
            },
            configuration: Configuration(
                additionalChannelHandlers: [ConnectionGuard(times)],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100)))
    }
}

/// Asks a client that waits for it to send its body: whoever is refused before gets the refusal in its place.
package struct BodyInvitation: RouterMiddleware {
    package init() {}

    package func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        if request.headers[.expect] != nil { context.channel.triggerUserOutboundEvent(BodyIsWanted(), promise: nil) }
        return try await next(request, context)
    }
}

/// Now, as HTTP writes it; of the C locale, since the program sets no other.
private func httpDate() -> String {
    var (now, parts) = (time(nil), tm())
    gmtime_r(&now, &parts)
    return String(unsafeUninitializedCapacity: 32) {
        $0.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress, 32, "%a, %d %b %Y %H:%M:%S GMT", &parts) }
    }
}
