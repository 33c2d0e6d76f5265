// Reads the JSON of one line: an OpenAI batch request (`custom_id`, `method`, `url`, `body`), or the short form. In the
// short form the body's fields are at the top level, and `prompt` or `messages` determines the endpoint.

package import JSONText

/// The contents of a line, valid or not.
package struct RequestLineReader {
    package private(set) var problems = ProblemCollector()
    package private(set) var customID: JSONNode?
    package private(set) var endpoint: Endpoint?
    package private(set) var request: RequestBody?
    /// The prefix of body field names in paths.
    package private(set) var fieldPrefix = ""
    /// The body; in the short form the whole line without its custom_id.
    package private(set) var body: [UInt8] = []
    /// Whether the URL is not supported and not similar to one that is.
    private var isForeignURL = false

    private let lineLength: Int
    private static let longestCustomID = 512
    private static let keys: [StaticString] = ["custom_id", "method", "url", "body"]

    /// Reads the document of a line of `length` bytes.
    package init(_ root: JSONNode, length: Int) {
        lineLength = length
        guard root.kind == .object else {
            let remedy =
                root.kind == .array
                ? "JSONL has one object on each line (jq -c '.[]' makes it from an array)"
                : "write an object such as {\"prompt\": …}"
            let problem = RequestProblem(
                code: .invalidType, place: .wholeLine, value: root.kind == .string ? "the text" : Excerpt.of(root),
                complaint: "is not a JSON object",
                remedy: remedy)
            problems.add(problem)
            return
        }
        if root.members.contains(where: { key, _ in
            key.isString("body") || key.isString("url") || key.isString("method")
        }) {
            readBatchRequest(root)
        } else {
            readShortForm(root)
        }
        if !problems.found.isEmpty { request = nil }
    }

    private mutating func readBatchRequest(_ root: JSONNode) {
        var values = [JSONNode?](repeating: nil, count: Self.keys.count)
        for (key, value) in root.members {
            guard let index = Self.keys.firstIndex(where: { key.isString($0) }) else {
                addUnknownKey(key.string)
                continue
            }
            if values[index] != nil {
                problems.add(.duplicateKey, "\(Self.keys[index])", nil, "is given twice", "keep one")
            }
            values[index] = value
        }
        for (index, key) in Self.keys.enumerated() where values[index]?.isNull ?? true {
            problems.add(
                .missingField, "\(key)", nil, "is missing", "a batch request has custom_id, method, url and body")
            values[index] = nil
        }
        if let id = values[0] { readCustomID(id) }
        if let method = values[1], !method.isString("POST") {
            problems.add(.invalidValue, "method", method, "is not the method of a batch request", "use \"POST\"")
        }
        if let url = values[2] { readURL(url) }
        if let body = values[3] { readBody(body, endpoint: endpoint) }
    }

    private mutating func addUnknownKey(_ name: String) {
        let known = NearestName.of(name, among: Self.keys.map(\.description))
        let belongsInBody = BodyFieldRule.named(name) != nil
        let remedy = belongsInBody ? "move it into body" : known.map { "did you mean \($0)?" } ?? "remove it"
        problems.add(.unknownField, Excerpt.shortened(name), nil, "is not a field of a batch request", remedy)
    }

    private mutating func readCustomID(_ node: JSONNode) {
        guard node.kind == .string else {
            return problems.addType("custom_id", node, wanted: "a string")
        }
        let utf8 = node.utf8
        guard !utf8.isEmpty else {
            return problems.add(.invalidValue, "custom_id", node, "is empty", "give an id that is unique in the file")
        }
        if utf8.count > Self.longestCustomID {
            let length = node.string.unicodeScalars.count
            guard length <= Self.longestCustomID else {
                let complaint = "has \(length) characters"
                return problems.add(.invalidValue, "custom_id", node, complaint, "use at most \(Self.longestCustomID)")
            }
        }
        customID = node
    }

    private mutating func readURL(_ node: JSONNode) {
        for known in Endpoint.allCases where node.kind == .string && node.string == known.rawValue {
            endpoint = known
            return
        }
        guard node.kind == .string else { return problems.addType("url", node, wanted: "a string") }
        let known = Endpoint.allCases.map(\.rawValue)
        let url = node.string
        // Some users write whole addresses: https://api.openai.com/v1/completions.
        let meant = known.first { url.hasSuffix($0) } ?? NearestName.of(url, among: known)
        isForeignURL = meant == nil
        let remedy = meant.map { "did you mean \($0)?" } ?? "use \(known.joined(separator: " or "))"
        problems.add(.invalidValue, "url", node, "is not an endpoint that ttbatch has", remedy)
    }

    /// Without an endpoint the body is read as the kind that it resembles. Its own problems are reported, but not those
    /// that depend on the endpoint. A body for a different endpoint is not read.
    private mutating func readBody(_ node: JSONNode, endpoint: Endpoint?) {
        var endpoint = endpoint
        if endpoint == nil, node.kind == .object {
            let looksLikeChat = node.members.contains { key, _ in key.isString("messages") }
            let looksLikeText = node.members.contains { key, _ in key.isString("prompt") }
            guard looksLikeChat || looksLikeText, !isForeignURL else { return }
            endpoint = looksLikeChat ? .chatCompletions : .completions
        }
        read(node, as: endpoint ?? .completions, prefix: "body.", without: nil)
    }

    private mutating func read(_ node: JSONNode, as endpoint: Endpoint, prefix: String, without excluded: StaticString?)
    {
        fieldPrefix = prefix
        var reader = BodyReader(endpoint: endpoint, prefix: prefix, problems: problems)
        request = reader.read(node, without: excluded)
        problems = reader.problems
        guard request != nil else { return }
        body.reserveCapacity(lineLength)
        if let excluded { body.append(object: node, without: excluded) } else { body.append(node) }
    }

    private mutating func readShortForm(_ root: JSONNode) {
        var prompt: JSONNode?
        var messages: JSONNode?
        var ids = 0
        for (key, value) in root.members {
            if key.isString("prompt") { prompt = value }
            if key.isString("messages") { messages = value }
            if key.isString("custom_id") {
                ids += 1
                if !value.isNull, ids == 1 { readCustomID(value) }
            }
        }
        if ids > 1 { problems.add(.duplicateKey, "custom_id", nil, "is given twice", "keep one") }
        guard prompt != nil || messages != nil else { return addFormless(root) }
        let asksForText = prompt.map { !$0.isNull } ?? false
        let asksForChat = messages.map { !$0.isNull } ?? false
        guard !(asksForText && asksForChat) else {
            return problems.add(.invalidValue, "messages", nil, "stands beside prompt", "give only one of the two")
        }
        let endpoint: Endpoint = asksForChat || (!asksForText && prompt == nil) ? .chatCompletions : .completions
        self.endpoint = endpoint
        read(root, as: endpoint, prefix: "", without: "custom_id")
    }

    private mutating func addFormless(_ root: JSONNode) {
        var remedy = "give prompt or messages, or custom_id, method, url and body"
        for (key, _) in root.members {
            if let meant = NearestName.of(key.string, among: ["prompt", "messages"]) {
                remedy = "did you mean \(meant)?"
            } else if case .called(let meant)? = ForeignField.named(key.string), ["prompt", "messages"].contains(meant)
            {
                remedy = "did you mean \(meant)?"
            }
        }
        problems.add(
            RequestProblem(
                code: .missingField, place: .wholeLine, complaint: "the line asks for nothing", remedy: remedy))
    }
}
