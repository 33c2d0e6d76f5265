// The problems of one line, gathered instead of thrown so that a user sees all of them at once.

/// Collects problems up to a number that a person can still read.
struct ProblemCollector {
    /// More problems than this in one line have one cause; the rest is left out.
    static let most = 20

    private(set) var found: [RequestProblem] = []

    /// Nothing more is kept: problems need not be worked out any further.
    var isFull: Bool { found.count >= Self.most }

    mutating func add(_ problem: RequestProblem) {
        if !isFull { found.append(problem) }
    }

    /// A problem of a field.
    mutating func add(
        _ code: RequestProblem.Code, _ path: @autoclosure () -> String, _ node: JSONNode? = nil, _ complaint: String,
        _ remedy: String? = nil
    ) {
        if isFull { return }
        let value = node.map { Excerpt.of($0) }
        add(RequestProblem(code: code, place: .field(path()), value: value, complaint: complaint, remedy: remedy))
    }

    /// A value of the wrong type.
    mutating func addType(_ path: @autoclosure () -> String, _ node: JSONNode, wanted: String) {
        add(.invalidType, path(), node, "is \(node.kindWithArticle), not \(wanted)", "give \(wanted)")
    }
}
