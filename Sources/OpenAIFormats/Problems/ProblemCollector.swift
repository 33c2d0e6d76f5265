// The problems of one line, gathered instead of thrown so that a user sees all of them at once.

/// Collects problems up to a number that a person can still read.
package struct ProblemCollector {
    /// More problems than this in one line have one cause; the rest is left out.
    package static let most = 20

    package private(set) var found: [RequestProblem] = []

    /// Nothing more is kept: problems need not be worked out any further.
    package var isFull: Bool { found.count >= Self.most }

    package mutating func add(_ problem: RequestProblem) {
        if !isFull { found.append(problem) }
    }

    /// A problem of a field.
    package mutating func add(
        _ code: RequestProblem.Code, _ path: @autoclosure () -> String, _ node: JSONNode? = nil, _ complaint: String,
        _ remedy: String? = nil
    ) {
        if isFull { return }
        let place = path()
        let value = node.map { Self.isPromptText($0, at: place) ? "the text" : Excerpt.of($0) }
        add(RequestProblem(code: code, place: .field(place), value: value, complaint: complaint, remedy: remedy))
    }

    /// What somebody has written for the model is shown in no message: messages end up in logs and in cron's mails.
    private static func isPromptText(_ node: JSONNode, at path: String) -> Bool {
        guard node.kind == .string, !node.utf8.isEmpty else { return false }
        return path == "body"
            || path.split(whereSeparator: { ".[".contains($0) }).contains { $0 == "prompt" || $0 == "messages" }
    }

    /// A value of the wrong type.
    package mutating func addType(_ path: @autoclosure () -> String, _ node: JSONNode, wanted: String) {
        add(.invalidType, path(), node, "is \(node.kindWithArticle), not \(wanted)", "give \(wanted)")
    }
}
