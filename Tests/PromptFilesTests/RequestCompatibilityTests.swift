// Requests as OpenAI's own client writes them (openai/make_requests.py), and broken ones as chance writes them.

import Foundation
import JSONText
import TestSupport
import Testing

@testable import OpenAIFormats
@testable import PromptFiles

@Suite struct RequestCompatibilityTests {
    private static func requests() throws -> String {
        try String(contentsOf: Locations.beside("openai/requests.jsonl"), encoding: .utf8)
    }

    @Test func acceptsWhatOpenAIsClientSends() throws {
        let (lines, summary) = try read(Self.requests())
        #expect(lines.compactMap(\.invalid).flatMap(\.errors) == [])
        #expect(summary.validLines == 13)
    }

    /// What is stored reads back as what was validated, and as itself.
    private func expectStable(_ line: PromptLine) throws {
        let again = try RequestBody.parse(line.body, endpoint: line.endpoint)
        #expect(again == line.request)
        var copy: [UInt8] = []
        try JSONValue(parsing: line.body).encode(into: &copy)
        #expect(copy == line.body)
    }

    /// The scanner that locates faults finds one exactly where simdjson refuses the text.
    private func expectScannerAgrees(_ text: [UInt8], _ lines: [PromptFileLine]) throws {
        let startsWithMark = text.starts(with: [0xEF, 0xBB, 0xBF])
        guard lines.count == 1, !startsWithMark, !text.contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return }
        let codes = lines[0].invalid?.errors.map(\.problem.code) ?? []
        let isRefused = codes.contains(.invalidJSON) || codes.contains(.invalidUTF8)
        #expect(
            (JSONSyntaxScanner.firstFault(in: text, of: .line) != nil) == isRefused,
            "\(String(decoding: text, as: UTF8.self))")
    }

    @Test(arguments: 0..<8) func mutatedLinesNeverCrashAndReadBackTheSame(_ seed: UInt64) throws {
        let seeds = try Self.requests().split(separator: "\n").map { Array($0.utf8) } + shortForms
        var random = SplitMix64(seed: seed)
        var options = PromptFileReader.Options()
        options.readSize = 4096
        var validLines = 0
        for _ in 0..<250 {
            let mutated = mutate(seeds.randomElement(using: &random)!, among: seeds, using: &random)
            guard let (lines, summary) = try readUnlessOfAnotherKind(mutated, options) else { continue }
            validLines += summary.validLines
            for line in lines.compactMap(\.valid) { try expectStable(line) }
            try expectScannerAgrees(mutated, lines)
            for line in lines.compactMap(\.invalid) {
                #expect(!line.errors.isEmpty)
                #expect(line.errors.allSatisfy { !$0.description.contains { $0.isNewline } })
            }
        }
        #expect(validLines > 50 && validLines < 200, "the mutations are neither all harmless nor all fatal")
    }

    /// What begins with anything but an object may be taken for a file of another kind.
    private func readUnlessOfAnotherKind(
        _ text: [UInt8], _ options: PromptFileReader.Options
    ) throws -> (lines: [PromptFileLine], summary: PromptFileReader.Summary)? {
        do {
            return try read(text, options: options)
        } catch PromptFileError.otherKind {
            let isBlank: (UInt8) -> Bool = { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
            let first = text.drop(while: isBlank).prefix { $0 != 0x0A }
            if case .object? = try? JSONValue(parsing: first) {
                Issue.record("\(String(decoding: text, as: UTF8.self))")
            }
            return nil
        }
    }

    private var shortForms: [[UInt8]] {
        [
            #"{"prompt":"x","temperature":0.5,"max_tokens":3,"min_tokens":1,"seed":-7,"top_k":-1}"#,
            #"{"prompt":[1,2,3],"custom_id":"a","stop":["x","y"],"stop_token_ids":[5],"ignore_eos":true}"#,
            #"{"messages":[{"role":"user","content":"\ud83d\ude00 \u00e9 é"}],"chat_template_kwargs":{"a":[1,1.5,null,{}]}}"#,
        ].map { Array($0.utf8) }
    }

    private func mutate(_ line: [UInt8], among lines: [[UInt8]], using random: inout SplitMix64) -> [UInt8] {
        let pieces = [
            "null", "true", "0", "-1", "1e9", "1.5", "99999999999999999999", "\"\"", "[]", "{}", "\"x\"", "\\u0000",
            "\\", "\"",
            ",", ":", "{", "}", "[", "]", "\u{FEFF}", "é", "'", " ",
        ].map { Array($0.utf8) }
        var line = line
        for _ in 0..<Int.random(in: 0...3, using: &random) where !line.isEmpty {
            let start = Int.random(in: 0..<line.count, using: &random)
            let end = min(line.count, start + Int.random(in: 0...6, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: line[start] = UInt8.random(in: 0...255, using: &random)
            case 1: line.removeSubrange(start..<end)
            case 2: line.insert(contentsOf: line[start..<end], at: start)
            case 3: line.replaceSubrange(start..<end, with: pieces.randomElement(using: &random)!)
            case 4: line.removeSubrange(start...)
            default:
                let other = lines.randomElement(using: &random)!
                line.insert(contentsOf: other[min(start, other.count)..<min(end, other.count)], at: start)
            }
        }
        return line
    }
}
