// The fields about logprobs. OpenAI's two endpoints name them differently: `logprobs` is the number of tokens in a
// completion; in a chat it is true or false, and `top_logprobs` is the number.

import JSONText

/// The fields as given.
struct LogprobFields {
    var isWanted: Bool?
    var top: Int?
    var tokens: [Int32]?
}

extension BodyReader {
    mutating func readLogprobs(_ field: BodyField, _ value: JSONNode, _ path: @autoclosure () -> String) {
        switch field {
        case .logprobs where endpoint == .completions && value.kind != .bool:
            logprobs.top = count(value, path())
            logprobs.isWanted = logprobs.top.map { _ in true }
        case .logprobs where endpoint == .completions:
            if value.bool { problems.addType(path(), value, wanted: "a number of tokens, 0 to 20") }
        case .logprobs where value.kind == .int:
            problems.add(.invalidType, path(), value, "is a number", "give true, and the number as top_logprobs")
        case .logprobs: logprobs.isWanted = bool(value, path())
        case .topLogprobs: logprobs.top = count(value, path())
        case .promptLogprobs: request.promptLogprobs = count(value, path())
        case .returnTokensAsTokenIDs: request.namesTokensByID = bool(value, path()) ?? false
        default:
            logprobs.tokens = tokenIDs(value, path())
            if let count = logprobs.tokens?.count, count > Self.mostTokens {
                problems.add(
                    .invalidValue, path(), nil, "\(count) tokens are too many", "give at most \(Self.mostTokens)")
            }
        }
    }

    /// Checks the rules that involve several of the fields.
    mutating func finishLogprobs() {
        guard logprobs.isWanted == true else {
            if let top = logprobs.top, top > 0 {
                problems.add(
                    .invalidValue, prefix + "top_logprobs", nil, "\(top) needs logprobs", "set logprobs to true as well"
                )
            }
            if logprobs.tokens?.isEmpty == false {
                problems.add(
                    .invalidValue, prefix + "logprob_token_ids", nil, "needs logprobs",
                    endpoint == .completions ? "set logprobs to 0 or more" : "set logprobs to true as well")
            }
            return
        }
        request.logprobs = RequestBody.Logprobs(top: logprobs.top ?? 0, tokens: logprobs.tokens ?? [])
    }

    private mutating func count(_ value: JSONNode, _ path: @autoclosure () -> String) -> Int? {
        integer(value, path(), in: 0...Int64(Self.mostTop), "use 0 to \(Self.mostTop)").map(Int.init)
    }

    private static let mostTop = 20
    private static let mostTokens = 128
}
