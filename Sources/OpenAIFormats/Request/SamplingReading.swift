// Fields that change which token is chosen: penalties, filters, biases and masks.

import JSONText
import Sampling

extension BodyReader {
    /// Reads a number that has a range.
    mutating func readFactor(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        guard let given = number(value, path()) else { return }
        func check(_ isValid: Bool, _ complaint: String, _ remedy: String) {
            if !isValid { problems.add(.invalidValue, path(), value, complaint, remedy) }
        }
        switch field {
        case .minP:
            check((0...1).contains(given), given < 0 ? "is below 0" : "is above 1", "use 0 (every token) to 1")
            request.minP = given
        case .typicalP:
            check(
                given > 0 && given <= 1, given <= 0 ? "is not above 0" : "is above 1",
                "use a number above 0, up to 1 (1 keeps every token)")
            request.typicalP = given
        case .repetitionPenalty:
            // The largest value keeps every product with a logit finite.
            check(
                given > 0 && given <= 1e6, given <= 0 ? "is not above 0" : "is above 1000000",
                "use a number above 0 (1 is none)")
            request.shaping.repetitionPenalty = given
        default:
            check((-2...2).contains(given), given < -2 ? "is below -2" : "is above 2", "use -2 to 2 (0 is none)")
            if field == .presencePenalty {
                request.shaping.presencePenalty = given
            } else {
                request.shaping.frequencyPenalty = given
            }
        }
    }

    /// Reads what is said of single tokens or words.
    mutating func readTokenRule(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        switch field {
        case .logitBias: request.shaping.logitBias = readBias(value, path()) ?? [:]
        case .allowedTokenIDs:
            request.shaping.allowedTokenIDs = tokenIDs(value, path())
            if request.shaping.allowedTokenIDs?.isEmpty == true {
                problems.add(.invalidValue, path(), value, "allows no token", "name at least one, or remove it")
            }
        default: request.shaping.badWords = readBadWords(value, path()) ?? []
        }
    }

    /// Reads vLLM's `repetition_detection`: the lengths of patterns, and how often one must follow itself.
    mutating func repetition(_ node: JSONNode, _ path: @autoclosure () -> String) -> RepetitionLimit? {
        let names = ["max_pattern_size", "min_pattern_size", "min_count"]
        if node.isNull { return nil }
        guard let members = members(node, path(), names) else { return nil }
        func number(_ name: String, from lowest: Int64, to highest: Int64) -> Int? {
            members[name].flatMap {
                integer($0, "\(path()).\(name)", in: lowest...highest, "use \(lowest) to \(highest)").map(Int.init)
            }
        }
        let most = number("max_pattern_size", from: 1, to: 1024)
        let least = number("min_pattern_size", from: 0, to: 1024) ?? 1
        let count = number("min_count", from: 2, to: 1000)
        for (name, value) in [("max_pattern_size", most), ("min_count", count)] where value == nil {
            if members[name]?.isNull ?? true {
                problems.add(
                    .missingField, "\(path()).\(name)", nil, "is missing", "give max_pattern_size and min_count")
            }
        }
        guard let most, let count else { return nil }
        guard least <= most else {
            problems.add(
                .invalidValue, "\(path()).min_pattern_size", nil, "\(least) is above max_pattern_size \(most)",
                "use 1 to \(most)")
            return nil
        }
        return RepetitionLimit(lengths: max(least, 1)...most, count: count)
    }

    private mutating func readBias(_ node: JSONNode, _ path: @autoclosure () -> String) -> [Int32: Double]? {
        if node.isNull { return nil }
        guard node.kind == .object else {
            problems.addType(path(), node, wanted: "an object such as {\"123\": -5}")
            return nil
        }
        var bias: [Int32: Double] = [:]
        for (key, value) in node.members {
            let name = Excerpt.shortened(key.string)
            guard let token = Int32(key.string), token >= 0 else {
                problems.add(
                    .invalidValue, "\(path()).\(name)", nil, "is not a token id", "use ids from 0 to 2147483647")
                return nil
            }
            guard bias[token] == nil else {
                problems.add(.duplicateKey, "\(path()).\(name)", nil, "is given twice", "keep one")
                return nil
            }
            guard let given = number(value, "\(path()).\(name)") else {
                if value.isNull { problems.addType("\(path()).\(name)", value, wanted: "a number") }
                return nil
            }
            guard (-100...100).contains(given) else {
                problems.add(
                    .invalidValue, "\(path()).\(name)", value, given < 0 ? "is below -100" : "is above 100",
                    "use -100 to 100")
                return nil
            }
            bias[token] = given
            guard bias.count <= Self.mostBiases else {
                problems.add(
                    .invalidValue, path(), nil, "has more than \(Self.mostBiases) tokens",
                    "give at most \(Self.mostBiases)")
                return nil
            }
        }
        return bias
    }

    private mutating func readBadWords(_ node: JSONNode, _ path: @autoclosure () -> String) -> [String]? {
        if node.isNull { return nil }
        guard node.kind == .array else {
            problems.addType(path(), node, wanted: "an array of strings")
            return nil
        }
        var words: [String] = []
        for (index, element) in node.elements.enumerated() {
            guard let word = string(element, "\(path())[\(index)]") else {
                if element.isNull { problems.addType("\(path())[\(index)]", element, wanted: "a string") }
                return nil
            }
            // Spaces before a word are no part of it: it is excluded with and without one.
            guard !word.allSatisfy(\.isWhitespace) else {
                problems.add(.invalidValue, "\(path())[\(index)]", element, "is no word", "remove it")
                return nil
            }
            guard word.utf8.count <= Self.longestBadWord else {
                problems.add(
                    .invalidValue, "\(path())[\(index)]", element, "has \(word.utf8.count) bytes",
                    "use at most \(Self.longestBadWord)")
                return nil
            }
            words.append(word)
        }
        guard words.count <= Self.mostBadWords else {
            problems.add(
                .invalidValue, path(), nil, "\(words.count) words are too many", "give at most \(Self.mostBadWords)")
            return nil
        }
        return words
    }

    private static let mostBiases = 1024
    private static let mostBadWords = 128
    private static let longestBadWord = 1000
}
