// The output of a template, and what it did with the marked texts.

/// A rendered template.
public struct Rendering: Sendable {
    private let text: Text
    /// Characters that are not in the output because the template names them as text to leave out (`replace`, `strip`,
    /// `split`), by mark: a switch such as `/no_think`, or markup.
    public let removedCharacters: MarkCounts

    init(_ text: Text, removedCharacters: MarkCounts) {
        self.text = text
        self.removedCharacters = removedCharacters
    }

    /// Bytes of the text in UTF-8.
    public var utf8Count: Int { text.utf8Count }

    /// The text in runs of one origin: the template, or the conversation.
    public var segments: [Segment] { text.segments }

    /// Characters in the output other than white space, by the mark of the text from which they come.
    ///
    /// A template may change a text (case, escapes), so there can be more of them than the text has. There are fewer
    /// only if some were left out.
    public var writtenCharacters: MarkCounts { text.visibleCharacters }

    /// The rendering up to the last text with `mark`; nil if there is none.
    ///
    /// The marked text must end in a space. If the template trimmed that, it would have trimmed the text before it,
    /// too.
    public func cut(before mark: Int) -> Rendering? {
        var end: Int?
        var isTrimmed = false
        var start = 0
        text.forEachPiece { piece, author in
            if author.mark == mark { (end, isTrimmed) = (start, piece.last != " ") }
            start += piece.utf8.count
        }
        guard let end else { return nil }
        let rest = text.slice(0..<end)
        return Rendering(isTrimmed ? rest.trimmed(leading: false) : rest, removedCharacters: removedCharacters)
    }
}
