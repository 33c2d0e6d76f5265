// Turns a request's tokens into its text, and finds where the text ends.

package import Tokenizers

/// The text of one request while it grows.
///
/// Stop strings may begin in one token and end in another. Of several the one that is complete first ends the text, as if the
/// text had come byte by byte, and among those that are complete together the longest, of which less would be left in the text.
package struct GeneratedText: Sendable {
    private var detokenizer: Detokenizer
    private let stops: [(text: String, bytes: [UInt8])]
    private var bytes: [UInt8] = []
    /// The stop string that ended the text, which is not part of it.
    private(set) var stopString: String?

    /// An empty text.
    package init(_ tokenizer: Tokenizer, stopStrings: [String]) {
        detokenizer = Detokenizer(tokenizer)
        stops = stopStrings.map { ($0, Array($0.utf8)) }
    }

    /// Appends a token's text; true when that completed a stop string, which it may not do while `mayStop` is false.
    package mutating func append(_ token: Int32, mayStop: Bool = true) -> Bool {
        extend(by: detokenizer.push(token), mayStop: mayStop)
    }

    /// The final text; what is left of an unfinished character becomes U+FFFD, unless it came behind a stop string.
    package mutating func finish() -> String {
        if stopString == nil { _ = extend(by: detokenizer.finish()) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func extend(by piece: String, mayStop: Bool = true) -> Bool {
        guard !piece.isEmpty else { return false }
        let before = bytes.count
        bytes.append(contentsOf: piece.utf8)
        guard mayStop else { return false }
        var first: (place: Range<Int>, stop: String)?
        for (stop, pattern) in stops {
            guard let start = firstIndex(of: pattern, from: max(0, before - pattern.count + 1)) else { continue }
            let place = start..<start + pattern.count
            if let best = first?.place, (best.upperBound, best.lowerBound) <= (place.upperBound, place.lowerBound) {
                continue
            }
            first = (place, stop)
        }
        guard let first else { return false }
        bytes.removeSubrange(first.place.lowerBound...)
        stopString = first.stop
        return true
    }

    private func firstIndex(of stop: [UInt8], from: Int) -> Int? {
        guard bytes.count - from >= stop.count else { return nil }
        return (from...bytes.count - stop.count).first { bytes[$0..<$0 + stop.count].elementsEqual(stop) }
    }
}
