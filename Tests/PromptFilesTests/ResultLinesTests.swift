// Files of results, line by line.

import Foundation
import PromptFiles
import TestSupport
import Testing

@Suite struct ResultLinesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func results(_ text: String, from offset: Int64 = 0) throws -> [WrittenResult] {
        let lines = try ResultLines(path: try folder.write("r.jsonl", text), from: offset)
        var results: [WrittenResult] = []
        while let result = try lines.next() { results.append(result) }
        return results
    }

    private static func line(_ id: String, _ response: String) -> String {
        #"{"id":"x","custom_id":"\#(id)","response":\#(response),"error":null}"#
    }

    @Test func tellOfWhomTheyAreAndHowThatEnded() throws {
        let text = [
            Self.line("a", #"{"status_code":200,"body":{"custom_id":"other","response":{"status_code":500}}}"#),
            Self.line("b \\u00e9", #"{"status_code":400,"body":{}}"#), "", Self.line("c", "null"),
        ].joined(separator: "\n")
        let found = try results(text)
        #expect(found.map(\.customID) == ["a", "b é", "c"])
        #expect(found.map(\.end) == [.succeeded, .refused, .notRun])
    }

    /// Places are of the file, however it is read in pieces.
    @Test func tellWhereTheyAre() throws {
        var random = SplitMix64(seed: 3)
        let lines = (0..<400).map { number in
            let padding = String(repeating: "é", count: Int.random(in: 0...20_000, using: &random))
            return Self.line("\(number)", #"{"status_code":200,"body":"\#(padding)"}"#)
        }
        let text = lines.joined(separator: "\r\n") + "\n"
        let bytes = Array(text.utf8)
        let found = try results(text)
        #expect(found.count == 400)
        for (line, result) in zip(lines, found) {
            let place = Int(result.place.lowerBound)..<Int(result.place.upperBound)
            #expect(Array(bytes[place]) == Array(line.utf8))
        }
        let later = try results(text, from: found[200].place.lowerBound)
        #expect(later == Array(found[200...]))
    }

    @Test(arguments: [
        "{", "[]", "1", "{}", #"{"custom_id":"a"}"#, #"{"custom_id":1,"response":null}"#,
        #"{"custom_id":"a","response":{}}"#, #"{"custom_id":"a","response":{"status_code":"200"}}"#, "\0\0\0",
    ])
    func whatIsNoResultIsNamed(text: String) throws {
        let good = Self.line("a", "null")
        let error = #expect(throws: InvalidResultLine.self) { try results(good + "\n" + text + "\n" + good) }
        #expect(error?.line == 2 && error?.offset == Int64(good.utf8.count + 1))
    }
}
