// How a prompt begins, as numbers that are equal for prompts that begin alike.

import OpenAIFormats
import PromptFiles

/// Hashes of a prompt's beginning. They hold for one process, and may rarely be equal for unlike prompts.
struct PromptPrefix: Hashable {
    /// Of the first `shortLength` bytes.
    let short: Int
    /// Of the first `longLength` bytes, or of the whole prompt where it is shorter.
    let long: Int

    /// About one KV block of text: less cannot be shared. A block of token ids is as long.
    static let shortLength = 64
    /// Far enough to tell long system prompts and few-shot templates apart, and short enough to cost nothing.
    static let longLength = 1024

    /// `nil` where the prompt is shorter than `shortLength`.
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
    /// The hash of the first `shortLength` bytes, once there are so many.
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
