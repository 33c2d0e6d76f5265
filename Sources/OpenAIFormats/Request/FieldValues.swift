// Readers of single field values. Each returns nil for null, and for a value about which it has added a problem.

import JSONText

extension BodyReader {
    mutating func string(_ node: JSONNode, _ path: @autoclosure () -> String) -> String? {
        if node.isNull { return nil }
        guard node.kind == .string else {
            problems.addType(path(), node, wanted: "a string")
            return nil
        }
        return node.string
    }

    mutating func bool(_ node: JSONNode, _ path: @autoclosure () -> String) -> Bool? {
        if node.isNull { return nil }
        guard node.kind == .bool else {
            problems.addType(path(), node, wanted: "true or false")
            return nil
        }
        return node.bool
    }

    /// Reads an integer in `range`; `remedy` describes the range.
    mutating func integer(
        _ node: JSONNode, _ path: @autoclosure () -> String, in range: ClosedRange<Int64>, _ remedy: String
    ) -> Int64? {
        switch node.kind {
        case .null: return nil
        case .int where range.contains(node.int): return node.int
        case .int:
            let isBelow = node.int < range.lowerBound
            let bound = isBelow ? "below \(range.lowerBound)" : "above \(range.upperBound)"
            problems.add(.invalidValue, path(), node, "is \(bound)", remedy)
        case .unsigned:
            problems.add(.invalidValue, path(), node, "is above \(range.upperBound)", remedy)
        case .double:
            let whole = Int64(exactly: node.double)
            let advice = whole.map { "write \($0)" } ?? remedy
            problems.add(.invalidType, path(), node, "is not written as an integer", advice)
        default:
            problems.addType(path(), node, wanted: "an integer")
        }
        return nil
    }

    /// Reads a number, with or without a fraction.
    mutating func number(_ node: JSONNode, _ path: @autoclosure () -> String) -> Double? {
        switch node.kind {
        case .null: return nil
        case .int: return Double(node.int)
        case .unsigned: return Double(node.unsigned)
        case .double: return node.double
        default:
            problems.addType(path(), node, wanted: "a number")
            return nil
        }
    }

    /// Reads token ids, each in 0 ..< 2^31.
    mutating func tokenIDs(_ node: JSONNode, _ path: @autoclosure () -> String) -> [Int32]? {
        if node.isNull { return nil }
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of token ids")
            return nil
        }
        var ids: [Int32] = []
        for element in node.elements {
            guard element.kind == .int, let id = Int32(exactly: element.int), id >= 0 else {
                let complaint = "is not a token id"
                problems.add(
                    .invalidValue, "\(path())[\(ids.count)]", element, complaint, "use integers from 0 to 2147483647")
                return nil
            }
            ids.append(id)
        }
        return ids
    }

    /// Reads one string, or an array of at most 16. None may be empty.
    mutating func stopStrings(_ node: JSONNode, _ path: @autoclosure () -> String) -> [String]? {
        switch node.kind {
        case .null: return nil
        case .string: return stopString(node, path()).map { [$0] }
        case .array:
            let elements = Array(node.elements)
            guard elements.count <= 16 else {
                problems.add(
                    .invalidValue, path(), nil, "\(elements.count) stop strings are too many", "give at most 16")
                return nil
            }
            return elements.enumerated().compactMap { stopString($1, "\(path())[\($0)]") }
        default:
            problems.addType(path(), node, wanted: "a string or an array of strings")
            return nil
        }
    }

    private mutating func stopString(_ node: JSONNode, _ path: @autoclosure () -> String) -> String? {
        guard node.kind == .string else {
            problems.addType(path(), node, wanted: "a string")
            return nil
        }
        guard !node.utf8.isEmpty else {
            problems.add(.invalidValue, path(), node, "is empty", "remove it: every text contains it")
            return nil
        }
        return node.string
    }
}
