// Models that run in place of those that lines name.

import Testing

@testable import Intake

@Suite struct ModelMapTests {
    @Test func namesAreMapped() throws {
        let map = try ModelMap(parsing: ["gpt-4o-mini=small", "a=b=c", "*=rest"])
        #expect(map["gpt-4o-mini"] == "small" && map["GPT-4o-Mini"] == "small")
        #expect(map["a"] == "b=c" && map["other"] == "rest" && map.standard == "rest")
        #expect(try ModelMap(parsing: ["a=b"])["other"] == nil)
        #expect(try ModelMap(parsing: []) == ModelMap())
    }

    @Test(arguments: ["gpt-4o-mini", "=x", "x=", ""])
    func whatIsNoMappingIsRefused(entry: String) {
        #expect(throws: InvalidModelMap.form(entry)) { try ModelMap(parsing: [entry]) }
    }

    @Test(arguments: [["a=x", "A=y"], ["*=x", "*=y"], ["a=x", "*=z", "a=x"]])
    func aNameIsMappedOnce(entries: [String]) {
        #expect(throws: InvalidModelMap.self) { try ModelMap(parsing: entries) }
    }

    @Test func theOrderDoesNotMatter() throws {
        #expect(try ModelMap(parsing: ["*=x", "a=y"]) == ModelMap(parsing: ["a=y", "*=x"]))
    }
}
