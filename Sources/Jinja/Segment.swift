// The origin of a piece of rendered text. A tokenizer parses control tokens only in `.template` segments, so a user who
// writes `<|im_start|>` in a message cannot forge a message boundary.

/// The origin of a piece of rendered text.
public enum Origin: UInt8, Sendable, Hashable {
    /// Written by the template itself, or by a trusted variable such as `bos_token`.
    case template
    /// From message content, tool definitions or documents.
    case data
}

/// A maximal run of rendered text that has one origin.
public struct Segment: Sendable, Hashable {
    /// The text; never empty.
    public let text: String
    /// Its origin.
    public let origin: Origin

    /// Makes a run of `text`, which must not be empty.
    public init(text: String, origin: Origin) {
        self.text = text
        self.origin = origin
    }
}
