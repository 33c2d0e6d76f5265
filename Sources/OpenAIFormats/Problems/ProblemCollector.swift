// The problems of one line. They are collected instead of thrown, so that a user sees all of them at once.

package import JSONText

/// Collects problems, up to a limit.
package struct ProblemCollector {
    /// More problems than this in one line have one cause, so the others are dropped.
    package static let most = 20

    package private(set) var found: [RequestProblem] = []

    /// Whether the limit is reached. The caller need not look for more problems.
    package var isFull: Bool { found.count >= Self.most }

    package mutating func add(_ problem: RequestProblem) {
        if !isFull { found.append(problem) }
    }

    /// Adds a problem of a field.
    package mutating func add(
        _ code: RequestProblem.Code, _ path: @autoclosure () -> String, _ node: JSONNode? = nil, _ complaint: String,
        _ remedy: String? = nil
    ) {
        if isFull { return }
        let place = path()
        let value = node.map { Self.isPromptText($0, at: place) ? "the text" : Excerpt.of($0) }
        add(RequestProblem(code: code, place: .field(place), value: value, complaint: complaint, remedy: remedy))
    }

    /// Whether the value is part of a prompt. Messages never show prompts, because they end up in logs and in mails of
    /// cron.
    private static func isPromptText(_ node: JSONNode, at path: String) -> Bool {
        guard node.kind == .string, !node.utf8.isEmpty else { return false }
        return path == "body"
            || path.split(whereSeparator: { ".[".contains($0) }).contains { $0 == "prompt" || $0 == "messages" }
    }

    /// Adds the problem that a value has the wrong type.
    package mutating func addType(_ path: @autoclosure () -> String, _ node: JSONNode, wanted: String) {
        add(.invalidType, path(), node, "is \(node.kindWithArticle), not \(wanted)", "give \(wanted)")
    }
}
