// Splits text into the pieces within which BPE may merge.

/// The pre-tokeniser of a model: one or more patterns, applied one after another.
struct PreTokenizer: Sendable {
    private let steps: [Pattern]

    init(_ rules: PreTokenizerRules) {
        steps = rules.steps.map { Pattern($0) }
    }

    /// Calls `body` with each piece of `text` (valid UTF-8), in order. Joined, the pieces are the text.
    ///
    /// - Throws: `TokenizerError.patternFailed`.
    func forEachPiece(
        of text: UnsafeBufferPointer<UInt8>, _ search: borrowing PatternSearch,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(TokenizerError) {
        try cut(text, step: 0, search, body)
    }

    /// A later step sees only one piece at a time: its look-ahead ends with the piece, as in Hugging Face.
    private func cut(
        _ text: UnsafeBufferPointer<UInt8>, step: Int, _ search: borrowing PatternSearch,
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(TokenizerError) {
        guard step < steps.count else { return body(text) }
        var end = 0
        while end < text.count, let match = try search.firstMatch(of: steps[step], in: text, from: end) {
            if match.lowerBound > end {
                try cut(UnsafeBufferPointer(rebasing: text[end..<match.lowerBound]), step: step + 1, search, body)
            }
            try cut(UnsafeBufferPointer(rebasing: text[match]), step: step + 1, search, body)
            end = match.upperBound
        }
        if end < text.count {
            try cut(UnsafeBufferPointer(rebasing: text[end...]), step: step + 1, search, body)
        }
    }
}
