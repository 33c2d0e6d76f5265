// Logprobs as OpenAI's two endpoints and vLLM's `prompt_logprobs` write them.

import JSONText
import Sampling

extension [UInt8] {
    /// Appends the `logprobs` object of a completion: parallel arrays, and the offsets of the tokens' texts in characters.
    mutating func append(completionLogprobs positions: [ScoredPosition]) {
        var texts = TokenTexts()
        var tokens: [UInt8] = []
        var offsets: [UInt8] = []
        var values: [UInt8] = []
        var tops: [UInt8] = []
        var offset = 0
        for (index, position) in positions.enumerated() {
            if index > 0 {
                tokens.append(UInt8(ascii: ","))
                offsets.append(UInt8(ascii: ","))
                values.append(UInt8(ascii: ","))
                tops.append(UInt8(ascii: ","))
            }
            let own = texts.text(position.own.bytes)
            tokens.append(string: own)
            offsets.append(integer: offset)
            values.append(logprob: position.own.logprob)
            tops.append(topLogprobs: position, own, texts)
            offset += own.unicodeScalars.count
            texts.advance(position.own.bytes)
        }
        append(json: "{\"tokens\":[")
        append(contentsOf: tokens)
        append(json: "],\"token_logprobs\":[")
        append(contentsOf: values)
        append(json: "],\"top_logprobs\":[")
        append(contentsOf: tops)
        append(json: "],\"text_offset\":[")
        append(contentsOf: offsets)
        append(json: "]}")
    }

    /// Appends the `logprobs` object of a chat.
    mutating func append(chatLogprobs positions: [ScoredPosition]) {
        var texts = TokenTexts()
        append(json: "{\"content\":")
        appendArray(positions) { position, output in
            output.append(UInt8(ascii: "{"))
            output.append(chatToken: position.own, texts)
            output.append(json: ",\"top_logprobs\":")
            output.appendArray(position.alternatives) { token, output in
                output.append(UInt8(ascii: "{"))
                output.append(chatToken: token, texts)
                output.append(UInt8(ascii: "}"))
            }
            output.append(UInt8(ascii: "}"))
            texts.advance(position.own.bytes)
        }
        append(json: ",\"refusal\":null}")
    }

    /// Appends vLLM's `prompt_logprobs`: null for the first token, then objects with the tokens' ids as keys, the prompt's
    /// own token first.
    mutating func append(promptLogprobs positions: [ScoredPosition]) {
        var texts = TokenTexts()
        append(json: "[null")
        for position in positions {
            append(json: ",{")
            var rank: Int32 = 0
            append(promptToken: position.own, rank: position.rank, texts)
            for token in position.top {
                rank += 1
                if token.token == position.own.token { continue }
                append(UInt8(ascii: ","))
                append(promptToken: token, rank: rank, texts)
            }
            append(UInt8(ascii: "}"))
            texts.advance(position.own.bytes)
        }
        append(UInt8(ascii: "]"))
    }

    private mutating func append(promptToken token: ScoredToken, rank: Int32?, _ texts: TokenTexts) {
        append(UInt8(ascii: "\""))
        append(integer: token.token)
        append(json: "\":{\"logprob\":")
        append(logprob: token.logprob)
        append(json: ",\"rank\":")
        if let rank { append(integer: rank) } else { append(json: "null") }
        append(json: ",\"decoded_token\":")
        append(string: texts.text(token.bytes))
        append(UInt8(ascii: "}"))
    }

    private mutating func append(chatToken token: ScoredToken, _ texts: TokenTexts) {
        append(json: "\"token\":")
        append(string: texts.text(token.bytes))
        append(json: ",\"logprob\":")
        append(logprob: token.logprob)
        append(json: ",\"bytes\":")
        appendArray(token.bytes) { $1.append(integer: $0) }
    }

    /// Appends the dictionary of a completion's top tokens. Tokens of the same text share an entry, the more probable one's:
    /// the format has no room for both.
    private mutating func append(topLogprobs position: ScoredPosition, _ own: String, _ texts: TokenTexts) {
        guard position.own.logprob != nil else { return append(json: "null") }
        var seen: Set<String> = []
        append(UInt8(ascii: "{"))
        for token in position.alternatives + [position.own] {
            let text = texts.text(token.bytes)
            guard seen.insert(text).inserted else { continue }
            if seen.count > 1 { append(UInt8(ascii: ",")) }
            append(string: text)
            append(UInt8(ascii: ":"))
            append(logprob: token.logprob)
        }
        append(UInt8(ascii: "}"))
    }

    /// Appends a logprob. JSON has no −∞, so that is -9999, as in vLLM.
    private mutating func append(logprob: Float?) {
        guard let logprob else { return append(json: "null") }
        // The shortest decimal that reads as the same number; 0 for −0.
        append(contentsOf: "\(Swift.max(logprob, -9999) + 0)".utf8)
    }
}
