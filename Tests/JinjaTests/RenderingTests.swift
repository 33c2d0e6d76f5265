// What golden files cannot say: injected time, absent time, and reuse of one parsed template.

import Jinja
import Testing

@Suite struct RenderingTests {
    @Test func timeComesFromTheCaller() throws {
        let template = try Template("{{ strftime_now('%Y-%m-%d %H:%M') if strftime_now is defined else 'no clock' }}")
        #expect(try template.render([:]) == "no clock")
        let environment = RenderEnvironment {
            WallClockTime(secondsSinceEpoch: 1_720_256_703, secondsFromUTC: 7_200)
        }
        #expect(try template.render([:], environment: environment) == "2024-07-06 11:05")
    }

    @Test func aTemplateKeepsNothingBetweenRenders() throws {
        let template = try Template("{% set n = (n | default(0)) + 1 %}{{ n }}{{ who }}")
        #expect(try template.render(["who": "a"]) == "1a")
        #expect(try template.render(["who": "b"]) == "1b")
    }

    @Test func laterMembersWin() throws {
        let object: JinjaValue = .object([("a", 1), ("b", 2), ("a", 3)])
        #expect(try Template("{{ o | tojson }}").render(["o": object]) == #"{"a": 3, "b": 2}"#)
    }

    @Test func largeObjectsAreIndexed() throws {
        let object = JinjaValue.object((0..<100).map { ("k\($0)", .int($0)) })
        #expect(try Template("{{ o.k57 }}{{ o['k99'] }}{{ o.nosuch }}").render(["o": object]) == "5799")
    }

    @Test func carriageReturnsAreNewlines() throws {
        #expect(try Template("a\r\nb\rc\n").render([:]) == "a\nb\nc")
    }
}
