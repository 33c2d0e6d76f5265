// The interpreter's string: UTF-8 text with an author for each byte range. Equality and length are Python's: by code
// point, never by grapheme or canonical equivalence.

/// The author of a piece of text: the template or a user, and in the second case the mark of the user's text.
struct Author: Sendable, Equatable {
    var origin: Origin
    /// The mark that the caller gave to the text; 0 for none. Only data has marks.
    var mark = 0

    static let template = Author(origin: .template)
}

struct Text: Sendable {
    /// A run of the string, which ends at UTF-8 offset `end`.
    struct Run: Sendable, Equatable {
        var end: Int
        var author: Author
    }

    private(set) var string: String
    /// The author of the whole string while `runs` is empty.
    private var uniformAuthor: Author
    /// Empty if the string has one author; else at least two runs that cover the string, neighbours with different
    /// authors.
    private var runs: [Run]
    /// Whether this is Python's `Markup` rather than a plain `str`; see `Markup.swift`. What is made of a text is plain,
    /// whatever the text was.
    private(set) var isMarkup = false

    init(_ string: String = "", author: Author = .template) {
        self.string = string
        self.uniformAuthor = author
        self.runs = []
    }

    init(_ string: String, origin: Origin) { self.init(string, author: Author(origin: origin)) }

    var isEmpty: Bool { string.isEmpty }
    var utf8Count: Int { string.utf8.count }
    var isUniform: Bool { runs.isEmpty }

    /// `.data` if any piece is. (Of two neighbouring runs at least one is data, since template text has no marks.)
    var origin: Origin { runs.isEmpty ? uniformAuthor.origin : .data }

    /// The author of the whole text; if it has several, data without a mark.
    var author: Author { runs.isEmpty ? uniformAuthor : Author(origin: .data) }

    /// Whether any piece has a mark.
    var isMarked: Bool { runs.isEmpty ? uniformAuthor.mark != 0 : runs.contains { $0.author.mark != 0 } }

    /// Runs of one origin.
    var segments: [Segment] {
        var result: [Segment] = []
        forEachPiece { piece, author in
            if let last = result.last, last.origin == author.origin {
                result[result.count - 1] = Segment(text: last.text + piece, origin: last.origin)
            } else {
                result.append(Segment(text: String(piece), origin: author.origin))
            }
        }
        return result
    }

    mutating func append(_ other: Text) {
        if other.isEmpty { return }
        if isEmpty {
            uniformAuthor = other.uniformAuthor
            runs = other.runs
        } else if !runs.isEmpty || !other.runs.isEmpty || uniformAuthor != other.uniformAuthor {
            appendRuns(of: other)
        }
        string.append(other.string)
    }

    private mutating func appendRuns(of other: Text) {
        let base = utf8Count
        if runs.isEmpty { runs.append(Run(end: base, author: uniformAuthor)) }
        if other.runs.isEmpty {
            appendRun(end: base + other.utf8Count, author: other.uniformAuthor)
        } else {
            for run in other.runs { appendRun(end: base + run.end, author: run.author) }
        }
    }

    private mutating func appendRun(end: Int, author: Author) {
        if runs[runs.count - 1].author == author {
            runs[runs.count - 1].end = end
        } else {
            runs.append(Run(end: end, author: author))
        }
    }

    mutating func append(_ piece: some StringProtocol, author: Author) {
        append(Text(String(piece), author: author))
    }

    /// Calls `body` with each run of one author, in order; an empty string has none.
    func forEachPiece(_ body: (Substring, Author) -> Void) {
        if isEmpty { return }
        if runs.isEmpty { return body(Substring(string), uniformAuthor) }
        var start = string.utf8.startIndex
        var offset = 0
        for run in runs {
            let end = string.utf8.index(start, offsetBy: run.end - offset)
            body(string[start..<end], run.author)
            (start, offset) = (end, run.end)
        }
    }

    /// This text with origin `.data` for all pieces; they keep their marks.
    var asData: Text {
        var copy = self
        copy.uniformAuthor.origin = .data
        copy.runs = []
        for run in runs {
            let author = Author(origin: .data, mark: run.author.mark)
            if let last = copy.runs.last, last.author == author {
                copy.runs[copy.runs.count - 1].end = run.end
            } else {
                copy.runs.append(Run(end: run.end, author: author))
            }
        }
        if copy.runs.count == 1 { copy.uniformAuthor = copy.runs.removeLast().author }
        return copy
    }

    /// This text as a plain one: Python's `str(value)`.
    var plain: Text { marked(asMarkup: false) }

    /// This text as markup, or as a plain one; nothing is escaped.
    func marked(asMarkup isMarkup: Bool = true) -> Text {
        var copy = self
        copy.isMarkup = isMarkup
        return copy
    }

    /// The text of a UTF-8 byte range, whose bounds must be code point boundaries.
    func slice(_ range: Range<Int>) -> Text {
        if range.isEmpty { return Text() }
        if range.count == utf8Count { return plain }
        if runs.isEmpty { return Text(String(substring(range)), author: uniformAuthor) }
        var result = Text()
        var start = firstRun(endingAfter: range.lowerBound).map { $0 == 0 ? 0 : runs[$0 - 1].end } ?? 0
        for run in runs[(firstRun(endingAfter: range.lowerBound) ?? 0)...] {
            if start >= range.upperBound { break }
            let piece = max(start, range.lowerBound)..<min(run.end, range.upperBound)
            result.append(substring(piece), author: run.author)
            start = run.end
        }
        return result
    }

    private func firstRun(endingAfter offset: Int) -> Int? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].end > offset { high = middle } else { low = middle + 1 }
        }
        return low < runs.count ? low : nil
    }

    private func substring(_ range: Range<Int>) -> Substring {
        let utf8 = string.utf8
        let lower = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        return string[lower..<utf8.index(lower, offsetBy: range.count)]
    }

    /// Applies `transform` to each piece, keeping its author.
    func mapPieces(_ transform: (Substring) -> String) -> Text {
        var result = Text()
        forEachPiece { result.append(Text(transform($0), author: $1)) }
        return result
    }
}

extension Text: Hashable {
    static func == (left: Text, right: Text) -> Bool { left.string.hasSameScalars(as: right.string) }

    func hash(into hasher: inout Hasher) {
        withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// Calls `body` with the UTF-8 bytes.
    func withUTF8<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        var copy = string
        return copy.withUTF8(body)
    }
}

extension String {
    /// Equality by code point, as in Python; `==` would use canonical equivalence.
    func hasSameScalars(as other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        var left = self
        var right = other
        return left.withUTF8 { left in
            right.withUTF8 { right in left.elementsEqual(right) }
        }
    }
}
