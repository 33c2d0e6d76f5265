// tokenizer.json with every component, against Hugging Face `tokenizers`: Golden/tokenizers/hugging-face.json, made by
// make_hugging_face_golden.py there.

import Foundation
import Jinja
import ModelFiles
import TestSupport
import Testing

@testable import Tokenizers

struct HuggingFaceFileTests {
    struct Sample: Decodable, Sendable {
        let tokenizer: String
        let encodings: [Encoding]
        let decodings: [Decoding]

        func load(_ change: (inout HuggingFaceTokenizerFiles) -> Void = { _ in }) throws -> Tokenizer {
            var files = HuggingFaceTokenizerFiles(path: "folder", vocabulary: .tokenizerJSON(Array(tokenizer.utf8)))
            change(&files)
            return try Tokenizer(huggingFace: files)
        }
    }

    struct Encoding: Decodable, Sendable {
        let text: String
        let ids: [Int32]
        let parsed: [Int32]
        let prompt: [Int32]

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            text = try row.decode(String.self)
            ids = try row.decode([Int32].self)
            parsed = try row.decodeIfPresent([Int32].self) ?? ids
            prompt = try row.decodeIfPresent([Int32].self) ?? parsed
        }
    }

    struct Decoding: Decodable, Sendable {
        let ids: [Int32]
        let text: String

        init(from decoder: any Decoder) throws {
            var row = try decoder.unkeyedContainer()
            ids = try row.decode([Int32].self)
            text = try row.decode(String.self)
        }
    }

    static let samples = try! JSONDecoder().decode([String: Sample].self, from: golden("tokenizers/hugging-face.json"))

    @Test(arguments: samples.keys.sorted())
    func encodesLikeHuggingFace(_ name: String) throws {
        let sample = try #require(Self.samples[name])
        let tokenizer = try sample.load()
        #expect(sample.encodings.count > 50)
        for row in sample.encodings {
            #expect(try tokenizer.encode(row.text, specials: .text) == row.ids, "\(row.text.debugDescription)")
            #expect(
                try tokenizer.encode(row.text, specials: .parsed) == row.parsed, "parsed \(row.text.debugDescription)")
            #expect(row.parsed.count <= tokenizer.mostTokens(ofBytes: row.text.utf8.count))
            // A text that has them already gets them once.
            if !row.parsed.starts(with: row.prompt.prefix(1)) || row.parsed == row.prompt {
                #expect(try tokenizer.encode(prompt: row.text) == row.prompt, "prompt \(row.text.debugDescription)")
            }
        }
    }

    @Test(arguments: samples.keys.sorted())
    func decodesLikeHuggingFace(_ name: String) throws {
        let sample = try #require(Self.samples[name])
        let tokenizer = try sample.load()
        #expect(sample.decodings.count > 20)
        for row in sample.decodings {
            #expect(Array(tokenizer.decode(row.ids).unicodeScalars) == Array(row.text.unicodeScalars), "\(row.ids)")
            var detokenizer = Detokenizer(tokenizer)
            let pieces = row.ids.map { detokenizer.push($0) }.joined() + detokenizer.finish()
            #expect(Array(pieces.unicodeScalars) == Array(row.text.unicodeScalars), "in pieces \(row.ids)")
        }
    }

    /// Whatever a user writes, and wherever a template puts it, no control token comes of it.
    @Test(arguments: samples.keys.sorted())
    func usersNeverWriteControlTokens(_ name: String) throws {
        let tokenizer = try #require(Self.samples[name]).load()
        let controls = (0..<Int32(tokenizer.vocabularySize)).filter {
            tokenizer.isControl($0) && tokenizer.vocabulary.text(of: $0) != "<unk>"
        }
        guard !controls.isEmpty else { return }
        var generator = SplitMix64(seed: 7)
        func part() -> String {
            let control = tokenizer.vocabulary.text(of: controls.randomElement(using: &generator)!)
            let cut = control.unicodeScalars.indices.randomElement(using: &generator)!
            return [
                control, String(control.unicodeScalars[..<cut]), String(control.unicodeScalars[cut...]), " ", "a", "\n",
            ]
            .randomElement(using: &generator)!
        }
        func count(_ ids: [Int32]) -> Int { ids.count { controls.contains($0) } }
        for _ in 0..<100 {
            var segments: [Segment] = []
            for _ in 0..<8 {
                let origin: Origin = generator.next() % 2 == 0 ? .data : .template
                let text = part() + part()
                // Neighbours of one origin are one text.
                if let last = segments.last, last.origin == origin {
                    segments[segments.count - 1] = Segment(text: last.text + text, origin: origin)
                } else {
                    segments.append(Segment(text: text, origin: origin))
                }
            }
            let ofTemplate = try segments.filter { $0.origin == .template }.map {
                try count(tokenizer.encode($0.text, specials: .parsed))
            }
            #expect(try count(tokenizer.encode(segments)) <= ofTemplate.reduce(0, +), "\(segments)")
            let data = segments.map { Segment(text: $0.text, origin: .data) }
            #expect(try count(tokenizer.encode(data)) == 0, "\(segments)")
        }
    }
}
