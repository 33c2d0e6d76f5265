// Turns a job's tokens into its text, and finds where the text ends.

import Tokenizer

/// The text of one job while it grows.
///
/// Stop strings may begin in one token and end in another; the text ends before the first one that appears.
struct GeneratedText {
    private var detokenizer: Detokenizer
    private let stops: [[UInt8]]
    private var bytes: [UInt8] = []
    private var hasStopped = false

    init(detokenizer: Detokenizer, stopStrings: [String]) {
        self.detokenizer = detokenizer
        stops = stopStrings.map { Array($0.utf8) }
    }

    /// Appends a token's text; true when that completed a stop string, which it may not do while `mayStop` is false.
    mutating func append(_ token: Int32, mayStop: Bool = true) -> Bool {
        extend(by: detokenizer.push(token), mayStop: mayStop)
    }

    /// The final text; what is left of an unfinished character becomes U+FFFD, unless it came behind a stop string.
    mutating func finish() -> String {
        if !hasStopped { _ = extend(by: detokenizer.finish()) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func extend(by piece: String, mayStop: Bool = true) -> Bool {
        guard !piece.isEmpty else { return false }
        let before = bytes.count
        bytes.append(contentsOf: piece.utf8)
        guard mayStop else { return false }
        var end: Int?
        for stop in stops {
            let from = max(0, before - stop.count + 1)
            if let found = firstIndex(of: stop, from: from) { end = min(end ?? found, found) }
        }
        guard let end else { return false }
        bytes.removeSubrange(end...)
        hasStopped = true
        return true
    }

    private func firstIndex(of stop: [UInt8], from: Int) -> Int? {
        guard bytes.count - from >= stop.count else { return nil }
        return (from...bytes.count - stop.count).first { bytes[$0..<$0 + stop.count].elementsEqual(stop) }
    }
}
