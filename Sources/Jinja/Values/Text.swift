// The interpreter's string: UTF-8 text that remembers, byte range by byte range, who wrote it. Equality and length are
// Python's: by code point, never by grapheme or canonical equivalence.

struct Text: Sendable {
    /// A stretch of the string up to UTF-8 offset `end`.
    struct Run: Sendable, Equatable {
        var end: Int
        var origin: Origin
    }

    private(set) var string: String
    /// The origin of the whole string while `runs` is empty.
    private var uniformOrigin: Origin
    /// Empty for a string of one origin; otherwise at least two runs, neighbours differing, covering the string.
    private var runs: [Run]

    init(_ string: String = "", origin: Origin = .template) {
        self.string = string
        self.uniformOrigin = origin
        self.runs = []
    }

    var isEmpty: Bool { string.isEmpty }
    var utf8Count: Int { string.utf8.count }
    var isUniform: Bool { runs.isEmpty }

    /// `.data` if any piece is.
    var origin: Origin { runs.isEmpty ? uniformOrigin : .data }

    var segments: [Segment] {
        var result: [Segment] = []
        forEachPiece { result.append(Segment(text: String($0), origin: $1)) }
        return result
    }

    mutating func append(_ other: Text) {
        if other.isEmpty { return }
        if isEmpty {
            uniformOrigin = other.uniformOrigin
            runs = other.runs
        } else if !runs.isEmpty || !other.runs.isEmpty || uniformOrigin != other.uniformOrigin {
            appendRuns(of: other)
        }
        string.append(other.string)
    }

    private mutating func appendRuns(of other: Text) {
        let base = utf8Count
        if runs.isEmpty { runs.append(Run(end: base, origin: uniformOrigin)) }
        if other.runs.isEmpty {
            appendRun(end: base + other.utf8Count, origin: other.uniformOrigin)
        } else {
            for run in other.runs { appendRun(end: base + run.end, origin: run.origin) }
        }
    }

    private mutating func appendRun(end: Int, origin: Origin) {
        if runs[runs.count - 1].origin == origin {
            runs[runs.count - 1].end = end
        } else {
            runs.append(Run(end: end, origin: origin))
        }
    }

    mutating func append(_ piece: some StringProtocol, origin: Origin) {
        append(Text(String(piece), origin: origin))
    }

    /// Calls `body` with each run of one origin, in order; not at all for an empty string.
    func forEachPiece(_ body: (Substring, Origin) -> Void) {
        if isEmpty { return }
        if runs.isEmpty { return body(Substring(string), uniformOrigin) }
        var start = 0
        for run in runs {
            body(substring(start..<run.end), run.origin)
            start = run.end
        }
    }

    /// The text of a UTF-8 byte range, whose bounds must lie on code points.
    func slice(_ range: Range<Int>) -> Text {
        if range.isEmpty { return Text("", origin: .template) }
        if range.count == utf8Count { return self }
        if runs.isEmpty { return Text(String(substring(range)), origin: uniformOrigin) }
        var result = Text()
        var start = firstRun(endingAfter: range.lowerBound).map { $0 == 0 ? 0 : runs[$0 - 1].end } ?? 0
        for run in runs[(firstRun(endingAfter: range.lowerBound) ?? 0)...] {
            if start >= range.upperBound { break }
            let piece = max(start, range.lowerBound)..<min(run.end, range.upperBound)
            result.append(substring(piece), origin: run.origin)
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

    /// Replaces each piece by `transform` of it, keeping its origin.
    func mapPieces(_ transform: (Substring) -> String) -> Text {
        var result = Text()
        forEachPiece { result.append(Text(transform($0), origin: $1)) }
        return result
    }
}

extension Text: Hashable {
    static func == (left: Text, right: Text) -> Bool { left.string.hasSameScalars(as: right.string) }

    func hash(into hasher: inout Hasher) {
        withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// Runs `body` over the UTF-8 bytes.
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
