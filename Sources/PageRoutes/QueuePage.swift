// The page for people: one page of HTML, its style and script, its stream of changes, and its actions.

package import HTTPExchange
package import Hummingbird
import Runtime
import Settings
import StoreContract

/// `/`, `/events` and the forms of the page.
package struct QueuePage: Sendable {
    private let reader: PageReader
    private let feed: PageFeed
    private let actions: PageActions
    private let threads: BlockingThreads
    private let templates: PageTemplates

    /// A page about a queue and the daemon that works on it.
    package init(_ served: ServedQueue) {
        let (threads, token) = (served.threads, served.formToken)
        let reader = PageReader(
            store: served.store, live: served.live, token: token,
            showsPrompts: served.configuration.server.showPrompts)
        let templates = PageTemplates()
        self.reader = reader
        self.threads = threads
        self.templates = templates
        feed = PageFeed { view in
            try await threads.run { templates.parts(try reader.content(view, isWhole: false)) }
        }
        actions = PageActions(store: served.store, threads: threads, token: token)
    }

    package func add(to router: Router<ServerContext>) {
        router.get("/") { request, context in
            try await answer { try await page(request, context.caller) }
        }
        for file in [PageFile.style, .script] { router.get(RouterPath(file.name)) { _, _ in file.response } }
        router.get("/events") { request, context in
            feed.response(try PageView(request, context.caller))
        }
        for action in PageActions.Action.allCases {
            router.post(RouterPath(action.path)) { request, context in
                try await answer {
                    let place = try await actions.perform(action, request, context.caller)
                    reader.forgetQueue()
                    return Response(status: .seeOther, headers: [.location: place])
                }
            }
        }
    }

    private func page(_ request: Request, _ caller: Caller) async throws -> Response {
        let view = try PageView(request, caller)
        let done = request.uri.queryParameters["done"].flatMap { PageActions.words(String($0)) }
        let query = request.uri.query.map { "?" + $0 } ?? ""
        let html = try await threads.run { [reader, templates] in
            let content = try reader.content(view, isWhole: true)
            let title = content.batch.map { "\($0.facts.id) · \($0.facts.name)" } ?? "Queue"
            return templates.page(content, PageFrame(title, events: "/events" + query, done: done))
        }
        return Response(html: html)
    }

    /// Errors of a page are pages.
    private func answer(_ body: () async throws -> Response) async throws -> Response {
        do { return try await body() } catch {
            let known = error as? APIError ?? (error as? JobStoreError).flatMap(APIError.init)
            guard let known else { throw error }
            return Response(html: templates.problem(known, PageFrame("Error")), status: known.status)
        }
    }
}

extension Response {
    /// A page.
    fileprivate init(html: String, status: HTTPResponse.Status = .ok) {
        self.init(
            status: status,
            headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: html)))
    }
}
