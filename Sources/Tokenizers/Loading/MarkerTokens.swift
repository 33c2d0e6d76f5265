// The token ids that a model file marks: begin and end of text, padding, and which of them are added to prompts.

/// A model's marked token ids; nil if the model does not have one.
public struct MarkerTokens: Sendable, Equatable {
    /// Beginning of sequence.
    public var bos: Int32?
    /// End of sequence.
    public var eos: Int32?
    /// End of turn.
    public var eot: Int32?
    /// End of message (a tool call follows).
    public var eom: Int32?
    /// The token for unknown text.
    public var unknown: Int32?
    /// The padding token.
    public var padding: Int32?
    /// Whether plain prompts begin with `bos`.
    public var addsBOS = false
    /// Whether plain prompts end with `eos`.
    public var addsEOS = false

    /// Texts of tokens that end generation in every model that has them. Files often mark only one of several. The list
    /// is that of llama.cpp's vocabulary loader.
    private static let endTexts: Set<String> = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
        "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
        "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ]

    /// Every id after which generation ends.
    func endOfGeneration(_ vocabulary: Vocabulary) -> Set<Int32> {
        var byText: [String: Int32] = [:]
        for id in 0..<Int32(vocabulary.count) where vocabulary.kinds[Int(id)] == .control {
            let text = vocabulary.text(of: id)
            if Self.endTexts.contains(text) { byText[text] = id }
        }
        // If `<|end|>` only ends a channel within an answer (harmony, solar-open), other tokens end the answer.
        let endsChannel =
            byText["<|return|>"] != nil && byText["<|call|>"] != nil
            || byText["<|calls|>"] != nil && byText["<|flush|>"] != nil
        if endsChannel { byText["<|end|>"] = nil }
        return Set(byText.values).union([eos, eot, eom].compactMap(\.self))
    }
}
