// Which prompts of a file are claimed together.

import OpenAIFormats
import QueueFixture
import Runtime
import StoreContract
import Testing

@testable import Intake

@Suite struct ClaimRanksTests {
    /// The lines, counted from 1, in the order in which they are claimed.
    private func order(_ prompts: [RequestBody.Prompt], capacity: Int = 100) -> [Int] {
        var ranks = ClaimRanks(capacity: capacity)
        let keyed = prompts.enumerated().map { (ranks.rank(of: $1, line: $0 + 1), $0 + 1) }
        return keyed.sorted(by: <).map(\.1)
    }

    private func text(_ beginning: Character, _ length: Int, _ tail: String) -> RequestBody.Prompt {
        .text(String(repeating: beginning, count: length) + tail)
    }

    /// A conversation as it is read from a file.
    private func chat(_ messages: String, _ more: String = "") throws -> RequestBody.Prompt {
        try RequestBody.parse(Array(#"{"messages":[\#(messages)]\#(more)}"#.utf8), endpoint: .chatCompletions).prompts[
            0]
    }

    @Test func promptsThatBeginWithTheSameBlockComeTogether() {
        let prompts = [
            text("a", 64, "1"), text("b", 64, "2"), text("a", 64, "3"), text("b", 70, "4"), text("a", 90, ""),
        ]
        #expect(order(prompts) == [1, 3, 5, 2, 4])
    }

    @Test func amongThoseTheOnesThatAreAlikeForLongerComeTogether() {
        let template = String(repeating: "system ", count: 20)
        let prompts = ["x", "y", "x", "z", "y"].map {
            RequestBody.Prompt.text(template + String(repeating: $0, count: 900))
        }
        #expect(order(prompts) == [1, 3, 2, 5, 4])
    }

    @Test func whatCannotShareABlockKeepsItsPlace() {
        #expect(order([text("a", 63, ""), text("b", 63, ""), text("a", 63, ""), text("b", 63, "")]) == [1, 2, 3, 4])
        #expect(order([.text("q"), text("a", 99, "1"), .text("q"), text("a", 99, "2")]) == [1, 2, 4, 3])
    }

    @Test func tokensCountByBlocksToo() {
        let first = Array(0..<16 as Range<Int32>)
        let prompts: [RequestBody.Prompt] = [.tokens(first + [1]), .tokens([9] + first), .tokens(first + [2])]
        #expect(order(prompts) == [1, 3, 2])
        #expect(order([.tokens(Array(first[1...])), .tokens([5]), .tokens(Array(first[1...]))]) == [1, 2, 3])
    }

    @Test func conversationsAreComparedByRolesTextsAndTools() throws {
        let system = #"{"role":"system","content":"\#(String(repeating: "be kind. ", count: 10))"}"#
        let parts =
            #"{"role":"system","content":[{"type":"text","text":"\#(String(repeating: "be kind. ", count: 10))"}]}"#
        let asUser = system.replacing("system", with: "user")
        func user(_ text: String) -> String { #",{"role":"user","content":"\#(text)"}"# }
        let tools = #","tools":[{"type":"function","function":{"name":"f"}}]"#
        let prompts = [
            try chat(system + user("one")), try chat(asUser), try chat(system + user("two"), tools),
            try chat(parts + user("three")), try chat(system + user("four"), tools), try chat(asUser + user("five")),
        ]
        #expect(order(prompts) == [1, 4, 2, 6, 3, 5])
    }

    @Test func onlyTheLatestBeginningsAreRemembered() {
        let unlike = (0..<5).map { RequestBody.Prompt.text("\($0)" + String(repeating: "-", count: 64)) }
        let alike = text("a", 64, "")
        // With room for two, the beginning of line 1 is forgotten after four others, unless it came again.
        #expect(order([alike] + unlike[..<4] + [alike], capacity: 2) == [1, 2, 3, 4, 5, 6])
        #expect(
            order([alike] + unlike[..<2] + [alike] + unlike[2..<4] + [alike], capacity: 2) == [1, 4, 7, 2, 3, 5, 6])
    }

    @Test func linesBeyondTheRanksKeepTheirOrder() {
        var ranks = ClaimRanks()
        let far = (0..<3).map { ranks.rank(of: .text("q"), line: Int(Int32.max) + $0) }
        #expect(far[0] == far[1] && far[1] == far[2])
        #expect(ranks.rank(of: .text("q"), line: Int(Int32.max) - 1) < far[0])
    }

    @Test func aFilesJobsAreClaimedByTheirRanks() throws {
        let fixture = try QueueFixture()
        let beginnings = ["a", "b"].map { String(repeating: $0, count: 80) }
        let lines = (0..<6).map { #"{"prompt":"\#(beginnings[$0 % 2]) \#($0)"}"# }
        let batch = try fixture.enqueue(lines)
        let store = fixture.client
        let opened = try store.openIncarnation(
            NewIncarnation(pid: 1, host: "h", version: "1", model: "m", device: "d"), lease: store.acquireLease(),
            maxCrashes: 3, at: 1)
        let claimed = try store.claim(4, of: batch, incarnation: opened.incarnation, at: 2)
        #expect(claimed.map(\.line) == [1, 3, 5, 2])
    }
}
