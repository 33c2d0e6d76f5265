// Turns a caller's `JinjaValue` into run-time values, marking every string with its origin.

extension Value {
    /// `input` with `origin` on every string and key in it.
    init(_ input: JinjaValue, origin: Origin, depth: Int = 0) throws(JinjaError) {
        if depth > Items.maximumNesting {
            throw JinjaError(.limit, "a template variable is nested more than \(Items.maximumNesting) deep")
        }
        switch input {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .float(let value): self = .float(value)
        case .string(let value): self = .string(Text(value, origin: origin))
        case .array(let elements):
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try Value(element, origin: origin, depth: depth + 1)) }
            self = try .list(values)
        case .object(let members):
            var pairs: [(Value, Value)] = []
            pairs.reserveCapacity(members.count)
            for member in members {
                let value = try Value(member.value, origin: origin, depth: depth + 1)
                pairs.append((.string(Text(member.key, origin: origin)), value))
            }
            self = .dict(try Dict(pairs))
        }
    }
}
