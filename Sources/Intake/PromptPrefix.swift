// Hashes of prompt prefixes, equal for prompts with a common prefix.

import JSONText
import OpenAIFormats
import PromptFiles

/// Hashes of the prefixes of a prompt. They are valid in one process, and in rare cases equal for different prefixes.
struct PromptPrefix: Hashable {
    /// The hash of the first `shortLength` bytes.
    let short: Int
    /// The hash of the first `longLength` bytes, or of the whole prompt if it is shorter.
    let long: Int

    /// About one KV block of text; a shorter prefix cannot be shared. For token ids it is the length of a block.
    static let shortLength = 64
    /// Long enough to distinguish long system prompts and few-shot templates, and short enough to be cheap.
    static let longLength = 1024

    /// Returns nil if the prompt is shorter than `shortLength`.
    init?(_ prompt: RequestBody.Prompt) {
        var hasher = PrefixHasher()
        switch prompt {
        case .text(let text): hasher.take(text)
        case .tokens(let tokens): tokens.withUnsafeBytes { hasher.take($0) }
        case .chat(let chat): hasher.take(chat)
        }
        guard let short = hasher.short else { return nil }
        self.short = short
        long = hasher.hash.finalize()
    }
}

/// Hashes the first bytes of a prompt.
private struct PrefixHasher {
    var hash = Hasher()
    /// The hash of the first `shortLength` bytes, once that many were added.
    private(set) var short: Int?
    private var length = 0

    mutating func take(_ bytes: UnsafeRawBufferPointer) {
        let bytes = bytes.prefix(PromptPrefix.longLength - length)
        let missing = short == nil ? min(bytes.count, PromptPrefix.shortLength - length) : 0
        hash.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes.prefix(missing)))
        if short == nil, length + missing == PromptPrefix.shortLength { short = hash.finalized }
        hash.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes.dropFirst(missing)))
        length += bytes.count
    }

    mutating func take(_ text: String) {
        var text = text
        text.withUTF8 { take(UnsafeRawBufferPointer($0)) }
    }

    /// Templates write tools and variables before or into the first message, then the messages in their order.
    mutating func take(_ chat: RequestBody.Chat) {
        hash.combine(chat.tools)
        hash.combine(chat.templateArguments)
        guard case .array(let messages) = chat.messages else { return }
        for message in messages where length < PromptPrefix.longLength {
            hash.combine(message["role"])
            switch message["content"] {
            case .string(let text): take(text)
            case .array(let parts):
                for case .string(let text)? in parts.map({ $0["text"] }) { take(text) }
            default: break
            }
        }
    }
}

extension Hasher {
    /// The hash so far.
    fileprivate var finalized: Int {
        let copy = self
        return copy.finalize()
    }
}
