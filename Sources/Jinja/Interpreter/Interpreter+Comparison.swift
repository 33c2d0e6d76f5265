// Equality, order and membership with Python's rules.

extension Interpreter {
    func compare(_ left: Value, _ comparison: Comparison, _ right: Value) throws(JinjaError) -> Bool {
        switch comparison {
        case .equal: return try equal(left, right)
        case .notEqual: return !(try equal(left, right))
        case .isIn: return try contains(left, in: right)
        case .isNotIn: return !(try contains(left, in: right))
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard let order = try order(left, right, comparison.rawValue) else { return false }
            switch comparison {
            case .less: return order < 0
            case .lessOrEqual: return order <= 0
            case .greater: return order > 0
            default: return order >= 0
            }
        }
    }

    /// Python's `==`; values of unrelated types are unequal.
    func equal(_ left: Value, _ right: Value) throws(JinjaError) -> Bool {
        try spend(1)
        switch (left, right) {
        case (.string(let left), .string(let right)): return left == right
        case (.undefined, .undefined), (.null, .null): return true
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return try equal(left.values, right.values)
        case (.dict(let left), .dict(let right)):
            guard left !== right else { return true }
            guard left.count == right.count else { return false }
            for (key, value) in zip(left.keys, left.values) {
                guard let other = try right.value(for: key), try equal(value, other) else { return false }
            }
            return true
        case (.range(let left), .range(let right)): return left == right
        case (.iterator(let left), .iterator(let right)): return left === right
        case (.object(let left), .object(let right)): return left === right
        default: return left.numericOrder(right) == .some(0)
        }
    }

    func equal(_ left: [Value], _ right: [Value]) throws(JinjaError) -> Bool {
        guard left.count == right.count else { return false }
        for (left, right) in zip(left, right) {
            guard try equal(left, right) else { return false }
        }
        return true
    }

    /// Negative, zero or positive; nil if a NaN makes every comparison false.
    func order(_ left: Value, _ right: Value, _ operation: String) throws(JinjaError) -> Int? {
        try spend(1)
        switch (left, right) {
        case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.error
        case (.string(let left), .string(let right)): return left.order(right)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.values, right.values) where !(try equal(left, right)) {
                return try order(left, right, operation)
            }
            return left.values.count - right.values.count
        default:
            if left.asDouble != nil, right.asDouble != nil { return left.numericOrder(right) }
            throw JinjaError(
                .type, "'\(operation)' not supported between '\(left.typeName)' and '\(right.typeName)'")
        }
    }

    /// Python's `in`.
    func contains(_ needle: Value, in haystack: Value) throws(JinjaError) -> Bool {
        switch haystack {
        case .string(let text):
            guard case .string(let wanted) = needle else {
                if case .undefined(let undefined) = needle { throw undefined.error }
                throw JinjaError(.type, "'in <string>' needs a string on its left, not \(needle.typeName)")
            }
            try spend(text.utf8Count / 16)
            return text.firstOffset(of: wanted) != nil
        case .dict(let dict): return try dict.value(for: needle) != nil
        case .iterator(let iterator):
            while let value = iterator.next() {
                if try equal(needle, value) { return true }
            }
            return false
        default:
            for value in try elements(of: haystack) {
                if try equal(needle, value) { return true }
            }
            return false
        }
    }
}

extension Text {
    /// Order by code point, which for UTF-8 is order by byte.
    func order(_ other: Text) -> Int {
        withUTF8 { left in
            other.withUTF8 { right in
                for (left, right) in zip(left, right) where left != right { return Int(left) - Int(right) }
                return left.count - right.count
            }
        }
    }
}

extension Value {
    /// Negative, zero or positive for two numbers, exactly; nil for a NaN or anything else.
    fileprivate func numericOrder(_ other: Value) -> Int? {
        if let left = asInteger, let right = other.asInteger { return left < right ? -1 : left == right ? 0 : 1 }
        guard let left = asDouble, let right = other.asDouble, !left.isNaN, !right.isNaN else { return nil }
        if left != right { return left < right ? -1 : 1 }
        // They are equal as doubles, but a large integer may still differ from the float.
        switch (self, other) {
        case (.float(let float), _):
            guard let integer = other.asInteger else { return 0 }
            return Int(exactly: float).map { $0 < integer ? -1 : $0 == integer ? 0 : 1 } ?? 1
        case (_, .float(let float)):
            guard let integer = asInteger else { return 0 }
            return Int(exactly: float).map { integer < $0 ? -1 : integer == $0 ? 0 : 1 } ?? -1
        default: return 0
        }
    }
}
