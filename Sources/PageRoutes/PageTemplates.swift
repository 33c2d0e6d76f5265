// The page's templates, which are part of the binary, and what is made of them.

import Foundation
import HTTPExchange
import HTTPTypes
import Mustache
import Runtime

/// Renders content as HTML. Mustache escapes all values.
struct PageTemplates: Sendable {
    private let library: MustacheLibrary

    /// Reads the templates; those of the binary can be read.
    init() {
        let sources: [String: [UInt8]] = [
            "page": PackageResources.page_mustache, "head": PackageResources.head_mustache,
            "now": PackageResources.now_mustache, "night": PackageResources.night_mustache,
            "batches": PackageResources.batches_mustache, "failures": PackageResources.failures_mustache,
            "batch": PackageResources.batch_mustache, "samples": PackageResources.samples_mustache,
            "problem": PackageResources.problem_mustache,
        ]
        library = MustacheLibrary(
            templates: sources.mapValues { source in
                // A test renders every one of them.
                try! MustacheTemplate(string: String(decoding: source, as: UTF8.self))
            })
    }

    /// The whole page.
    func page(_ content: PageContent, _ frame: PageFrame) -> String {
        // What is given as a whole has its parts at the top, so that the templates need no prefixes.
        render("page", ["content": content, "frame": frame])
    }

    /// A page that says what went wrong.
    func problem(_ error: APIError, _ frame: PageFrame) -> String {
        render("problem", ["status": error.status.code, "message": error.message, "frame": frame])
    }

    /// The parts of the page that change, by the ids of their elements.
    func parts(_ content: PageContent) -> [String: String] {
        var parts = ["head": render("head", content.head)]
        parts["now"] = content.now.map { render("now", $0) }
        parts["night"] = content.night.map { render("night", $0) }
        parts["batches"] = content.batches.map { render("batches", $0) }
        parts["batch"] = content.batch.map { render("batch", $0) }
        parts["failures"] = content.failures.map { render("failures", $0) }
        return parts
    }

    private func render(_ template: String, _ value: Any) -> String {
        library.render(value, withTemplate: template) ?? ""
    }
}

/// What stands around the content of a page.
struct PageFrame: Sendable, Hashable {
    let title: String
    /// When it was made, to the second.
    let time: String
    let style: String
    let script: String
    /// Where the stream of events is; nil: this page does not change.
    var events: String?
    /// What has just been done.
    var done: String?

    init(_ title: String, events: String? = nil, done: String? = nil) {
        self.title = title
        time = String(TimeSource.system.now.localTime.suffix(8))
        style = PageFile.style.path
        script = PageFile.script.path
        self.events = events
        self.done = done
    }
}
