// What a template wrote, and what became of the marked texts that it was given.

/// A rendered template.
public struct Rendering: Sendable {
    private let text: Text
    /// Characters that are not written because the template names them as what to leave out of texts (`replace`, `strip`,
    /// `split`), by mark: a switch such as `/no_think`, a markup.
    public let removedCharacters: MarkCounts

    init(_ text: Text, removedCharacters: MarkCounts) {
        self.text = text
        self.removedCharacters = removedCharacters
    }

    /// Bytes of the text in UTF-8.
    public var utf8Count: Int { text.utf8Count }

    /// The text in runs of one origin: what the template wrote, and what came from the conversation.
    public var segments: [Segment] { text.segments }

    /// Characters other than white space that were written, by the mark of the text that they are from.
    ///
    /// A template may change a text (case, escapes), so that there are more than the text has; fewer are there only where
    /// some were left out.
    public var writtenCharacters: MarkCounts { text.visibleCharacters }

    /// The rendering up to the last text with `mark`; nil if there is none.
    ///
    /// The marked text ends in a space. Where the template trimmed that, it would have trimmed what is before it too.
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
