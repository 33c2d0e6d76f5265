// Requests to the server, in the program's metrics.

import CoreMetrics
package import Hummingbird

/// Counts the answers of every route, errors included. It must come before what turns errors into answers.
package struct HTTPMetrics<Context: RequestContext>: RouterMiddleware {
    package init() {}

    private static var methods: Set<HTTPRequest.Method> { [.get, .head, .post, .put, .patch, .delete, .options] }

    package func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        var response = try await next(request, context)
        // What callers make up must not become a series.
        let route = context.endpointPath ?? "none"
        let method = Self.methods.contains(request.method) ? request.method.rawValue : "other"
        let status = "\(response.status.code)"
        @Sendable func count() {
            Counter(
                label: "ttbatch_http_requests_total",
                dimensions: [("route", route), ("method", method), ("status", status)]
            ).increment()
            CoreMetrics.Timer(label: "ttbatch_http_request_seconds", dimensions: [("route", route)])
                .recordNanoseconds(Int64((ContinuousClock.now - began) / .nanoseconds(1)))
        }
        if response.body.contentLength == nil {
            // A stream, which ends long after its answer has begun.
            let body = response.body
            response.body = ResponseBody { writer in
                defer { count() }
                try await body.write(writer)
            }
        } else {
            count()
        }
        return response
    }
}
