// A value in a JSON file and the way to it, so that every error says where it is.

import JSONText

/// A value of a JSON file with its place.
struct JSONPlace {
    let node: JSONNode
    /// The file, for errors.
    let file: String
    /// The way from the root: `pre_tokenizer.pretokenizers[1]`.
    let place: String

    /// Parses a file and passes its root, which must be an object, to `body`.
    static func withRoot<Result>(
        of bytes: [UInt8], file: String, _ body: (JSONPlace) throws(TokenizerError) -> Result
    ) throws(TokenizerError) -> Result {
        do {
            return try JSONParser().withDocument(of: bytes) { node in
                let root = JSONPlace(node: node, file: file, place: "")
                guard node.kind == .object else { throw root.error("is not a JSON object") }
                return try body(root)
            }
        } catch let error as TokenizerError {
            throw error
        } catch JSONParser.Failure.tooDeep {
            throw .folder(path: file, place: "", reason: "is nested more than \(JSONParser.maximumDepth) levels deep")
        } catch {
            let fault = JSONSyntaxScanner.fault(in: bytes, of: .text)
            let (line, column) = fault.offset <= bytes.count ? fault.place(in: bytes) : (1, 1)
            throw .folder(
                path: file, place: "line \(line), byte \(column)",
                reason: fault.problem + "; the file is damaged, fetch it again")
        }
    }

    func error(_ reason: String) -> TokenizerError { .folder(path: file, place: place, reason: reason) }

    // MARK: Objects

    /// The member `name`; nil if it is missing or null. Of several, the last one counts.
    subscript(name: StaticString) -> JSONPlace? {
        guard node.kind == .object else { return nil }
        var found: JSONNode?
        for (key, value) in node.members where key.isString(name) { found = value }
        guard let found, !found.isNull else { return nil }
        return JSONPlace(node: found, file: file, place: place.isEmpty ? "\(name)" : "\(place).\(name)")
    }

    /// The member `name`.
    func required(_ name: StaticString) throws(TokenizerError) -> JSONPlace {
        guard let member = self[name] else { throw error("\(name) is missing") }
        return member
    }

    /// The boolean `name`, or a default.
    func bool(_ name: StaticString, default fallback: Bool) throws(TokenizerError) -> Bool {
        guard let member = self[name] else { return fallback }
        guard member.node.kind == .bool else { throw member.error("is not true or false") }
        return member.node.bool
    }

    /// The boolean `name`.
    func requiredBool(_ name: StaticString) throws(TokenizerError) -> Bool {
        _ = try required(name)
        return try bool(name, default: false)
    }

    /// The string `name`; nil if it is missing.
    func string(_ name: StaticString) throws(TokenizerError) -> String? {
        guard let member = self[name] else { return nil }
        return try member.string()
    }

    /// The bytes of the string `name`, which must not be empty.
    func text(_ name: StaticString) throws(TokenizerError) -> [UInt8] {
        let member = try required(name)
        let bytes = try member.bytes()
        if bytes.isEmpty { throw member.error("is empty") }
        return bytes
    }

    /// The number `name`, from 0 to `most`.
    func integer(_ name: StaticString, most: Int) throws(TokenizerError) -> Int {
        try required(name).integer(most: most)
    }

    /// The type of a component.
    func type() throws(TokenizerError) -> String { try required("type").string() }

    // MARK: Values

    func string() throws(TokenizerError) -> String {
        guard node.kind == .string else { throw error("is not a string") }
        return node.string
    }

    func bytes() throws(TokenizerError) -> [UInt8] {
        guard node.kind == .string else { throw error("is not a string") }
        return Array(node.utf8)
    }

    func integer(most: Int) throws(TokenizerError) -> Int {
        guard node.kind == .int, node.int >= 0, node.int <= most else {
            throw error("is not a number from 0 to \(most)")
        }
        return Int(node.int)
    }

    /// Calls `body` with each element of an array.
    func forEachElement(_ body: (JSONPlace) throws(TokenizerError) -> Void) throws(TokenizerError) {
        guard node.kind == .array else { throw error("is not an array") }
        var index = 0
        for element in node.elements {
            try body(JSONPlace(node: element, file: file, place: "\(place)[\(index)]"))
            index += 1
        }
    }
}
