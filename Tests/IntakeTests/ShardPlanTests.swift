// Which lines of a file are in which part of it.

import Foundation
import PromptFiles
import TestSupport
import Testing

@testable import Intake

@Suite struct ShardPlanTests {
    /// A plan of prompts, each with what it may generate.
    private func plan(_ prompts: [(text: String, tokens: Int)]) throws -> ShardPlan {
        let folder = try TemporaryFolder()
        let lines = try prompts.map { prompt in
            let fields: [String: Any] = ["prompt": prompt.text, "max_tokens": prompt.tokens]
            return String(decoding: try JSONSerialization.data(withJSONObject: fields), as: UTF8.self)
        }
        let path = try folder.write("p.jsonl", lines.joined(separator: "\n"))
        let reader = try PromptFileReader(path: path)
        var plan = ShardPlan()
        while let line = try reader.next() { plan.add(line) }
        return plan
    }

    private func parts(_ plan: ShardPlan, _ count: Int, of lines: Int) throws -> [[Int]] {
        try (0..<count).map { index in
            let set = plan.lines(of: try #require(Shard("\(index)/\(count)")))
            let found = (0...lines + 100).filter { set.contains($0) }
            #expect(set.count == found.count)
            return found
        }
    }

    /// Whatever the prompts are and however many parts there are, every line is in one of them.
    @Test(arguments: 0..<40) func everyLineIsInOnePart(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let count = Int.random(in: 1...300, using: &random)
        let templates = Int.random(in: 1...20, using: &random)
        let prompts = (0..<count).map { number in
            let template = String(repeating: "template \(Int.random(in: 0..<templates, using: &random)) ", count: 12)
            let isOwn = Bool.random(using: &random)
            return (isOwn ? "\(number)" : template + "\(number)", Int.random(in: 1...2000, using: &random))
        }
        let plan = try plan(prompts)
        for parts in [1, 2, 3, 7, count, count + 5] {
            let found = try self.parts(plan, parts, of: count)
            #expect(found.flatMap(\.self).sorted() == Array(1...count), "\(parts) parts")
        }
    }

    /// By what there is to do, and not by lines.
    @Test func partsAreOfEqualWork() throws {
        let prompts = (0..<400).map { ("\($0)", $0 < 100 ? 900 : 100) }
        let found = try parts(try plan(prompts), 4, of: 400)
        for part in found {
            let tokens = part.reduce(0) { $0 + prompts[$1 - 1].1 }
            #expect((25_000...35_000).contains(tokens), "\(part.count) lines, \(tokens) tokens")
        }
    }

    /// Four templates that take turns are four parts, and each machine prefills its own once.
    @Test func promptsOfOneTemplateStayTogether() throws {
        let prompts = (0..<80).map { (String(repeating: "template \($0 % 4) ", count: 20) + "\($0)", 50) }
        let found = try parts(try plan(prompts), 4, of: 80)
        #expect(found.allSatisfy { part in Set(part.map { ($0 - 1) % 4 }).count == 1 && part.count == 20 })
    }

    /// One template is no reason to leave machines without work.
    @Test func oneTemplateIsCut() throws {
        let prompts = (0..<80).map { (String(repeating: "template ", count: 20) + "\($0)", 50) }
        #expect(try parts(try plan(prompts), 4, of: 80).map(\.count) == [20, 20, 20, 20])
    }

    @Test func areCountedFromZero() {
        #expect(Shard("0/1") != nil && Shard("7/8")?.description == "7/8")
        for wrong in ["8/8", "-1/8", "0/0", "1", "1/", "/2", "a/b", "1/2/3", "0/100001", " 0/2", ""] {
            #expect(Shard(wrong) == nil, "\(wrong)")
        }
    }
}
