// Converts a request's tokens to text, and finds stop strings.

package import Prompts
package import Tokenizers

/// The growing text of one request.
///
/// A stop string may begin in one token and end in another. If there are several, the one that is complete first ends
/// the text, as if the text came byte by byte; of those that are complete at the same byte, the longest, so that no
/// part of it is left in the text.
package struct GeneratedText: Sendable {
    private var detokenizer: Detokenizer
    private let stops: [(text: String, bytes: [UInt8])]
    private let includesStop: Bool
    private var bytes: [UInt8] = []
    /// The bytes that `takeStable` has given.
    private var given = 0
    /// The stop string that ended the text. It is part of the text only if the request wants that.
    private(set) var stopString: String?

    /// An empty text.
    package init(_ tokenizer: Tokenizer, _ rules: OutputRules) {
        // The prompt's text stands before it.
        detokenizer = Detokenizer(
            tokenizer, continuing: true, skipsControl: rules.skipsSpecialTokens,
            shown: rules.answer?.shownTokens ?? [])
        stops = rules.stopStrings.map { ($0, Array($0.utf8)) }
        includesStop = rules.includesStop
    }

    /// Appends a token's text; returns whether that completed a stop string. While `mayStop` is false, stop strings are
    /// ignored.
    package mutating func append(_ token: Int32, mayStop: Bool = true) -> Bool {
        extend(by: detokenizer.push(token), mayStop: mayStop)
    }

    /// Returns the final text; an incomplete character at its end becomes U+FFFD, unless it came after a stop string.
    package mutating func finish() -> String {
        if stopString == nil { _ = extend(by: detokenizer.finish()) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text since the last call that no stop string takes back any more; nil if there is none.
    ///
    /// - Parameter isAtEnd: whether no token follows.
    mutating func takeStable(isAtEnd: Bool) -> String? {
        if isAtEnd, stopString == nil { _ = extend(by: detokenizer.finish()) }
        var end = bytes.count
        if !isAtEnd {
            // The end of the text may be the beginning of a stop string, which may end within a character.
            let begun = stops.map { stop in
                (1..<max(1, stop.bytes.count)).last { length in
                    length <= bytes.count && bytes.suffix(length).elementsEqual(stop.bytes.prefix(length))
                } ?? 0
            }
            end -= begun.max() ?? 0
            while end > given, end < bytes.count, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        }
        guard end > given else { return nil }
        defer { given = end }
        return String(decoding: bytes[given..<end], as: UTF8.self)
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
        bytes.removeSubrange((includesStop ? first.place.upperBound : first.place.lowerBound)...)
        stopString = first.stop
        return true
    }

    private func firstIndex(of stop: [UInt8], from: Int) -> Int? {
        guard bytes.count - from >= stop.count else { return nil }
        return (from...bytes.count - stop.count).first { bytes[$0..<$0 + stop.count].elementsEqual(stop) }
    }
}
