// Turns a caller's `JinjaValue` into run-time values, each string with its author.

extension Value {
    /// Makes a value from `input`, with `author` on all strings and keys except those that `input` gives a mark of
    /// their own.
    init(_ input: JinjaValue, author: Author, depth: Int = 0) throws(JinjaError) {
        if depth > Items.maximumNesting {
            throw JinjaError(.limit, "a template variable is nested more than \(Items.maximumNesting) deep")
        }
        switch input {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .float(let value): self = .float(value)
        case .string(let value): self = .string(Text(value, author: author))
        case .pieces(let pieces):
            var text = Text()
            for piece in pieces { text.append(piece.text, author: Author(origin: .data, mark: piece.mark)) }
            self = .string(text)
        case .marked(let value, let mark):
            self = try Value(value, author: Author(origin: .data, mark: mark), depth: depth)
        case .array(let elements):
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try Value(element, author: author, depth: depth + 1)) }
            self = try .list(values)
        case .object(let members):
            var pairs: [(Value, Value)] = []
            pairs.reserveCapacity(members.count)
            for member in members {
                let value = try Value(member.value, author: author, depth: depth + 1)
                pairs.append((.string(Text(member.key, author: author)), value))
            }
            self = .dict(try Dict(pairs))
        }
    }
}
