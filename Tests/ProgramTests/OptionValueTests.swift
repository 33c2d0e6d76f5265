// Values of options: whatever follows one is its value, also where it begins with a minus.

import Foundation
import TestSupport
import Testing

@Suite("Values of options")
struct OptionValueTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func prompts() throws -> String { try workspace.write("p.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":1}\n") }

    @Test func mayBeginWithAMinus() throws {
        let file = try prompts()
        #expect(try workspace.run("enqueue", file, "--priority", "-5", "--name", "-5").output == "batch_1\n")
        let batch = try jsonObject(try workspace.run("show", "1", "--json").output)
        let own = try #require(batch["ttbatch"] as? [String: Any])
        #expect(own["priority"] as? Int == -5 && own["name"] as? String == "-5")
        let run = try workspace.run("run", file, "-o", "-x.jsonl", "--priority", "-1000")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try workspace.read("-x.jsonl").contains("custom_id"))
    }

    /// A number that is too small is reported as such, not as missing.
    @Test func areTheirOptionsOwn() throws {
        #expect(try workspace.run("list", "--limit", "-5").errors.contains("--limit -5: expected at least 1"))
        #expect(
            try workspace.run("enqueue", prompts(), "--priority", "-5000").errors.contains("--priority -5000: expected")
        )
        #expect(
            try workspace.run("enqueue", prompts(), "--max-errors", "-1").errors.contains("--max-errors -1: expected"))
    }

    /// The next option is no value: it was forgotten.
    @Test(arguments: ["--name", "--model", "--db", "--config", "--set", "--map-model", "--deadline", "--window"])
    func areNotTheNextOption(option: String) throws {
        let outcome = try workspace.run("enqueue", prompts(), option, "--if-not-exists")
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("\(option) --if-not-exists: a value is missing before --if-not-exists"))
        #expect(
            try !FileManager.default.contentsOfDirectory(atPath: workspace.directory.path).contains("--if-not-exists"))
    }

    /// Every option of every verb, as the program lists them itself.
    @Test func everyOptionTakesWhatFollowsIt() throws {
        let dump = try jsonObject(try workspace.run("--experimental-dump-help").output)
        let program = try #require(dump["command"] as? [String: Any])
        var options = 0
        for (verb, arguments) in commands(program) {
            // A setting that is not there ends a verb before it does anything.
            let hasSettings = arguments.contains { argument in
                (argument["names"] as? [[String: Any]] ?? []).contains { $0["name"] as? String == "set" }
            }
            let setting = hasSettings ? ["--set", "nothing=1"] : []
            let words = arguments.filter { $0["kind"] as? String == "positional" }.map { _ in "1" }
            for argument in arguments where argument["kind"] as? String == "option" {
                let names = try #require(argument["names"] as? [[String: Any]])
                let long = try #require(names.first { $0["kind"] as? String == "long" }?["name"] as? String)
                let outcome = try workspace.run(verb + words + ["--\(long)", "-5"] + setting)
                #expect(
                    !["Missing value", "Unknown option", "Unexpected argument"].contains {
                        outcome.errors.contains($0)
                    },
                    "\(verb) --\(long): \(outcome.errors)")
                #expect(outcome.status == 2 || !hasSettings, "\(verb) --\(long): \(outcome.errors)")
                options += 1
            }
        }
        #expect(options > 60)
    }

    private func commands(_ command: [String: Any]) -> [(verb: [String], arguments: [[String: Any]])] {
        let own = (verb: [String](), arguments: command["arguments"] as? [[String: Any]] ?? [])
        let below = (command["subcommands"] as? [[String: Any]] ?? []).filter { $0["commandName"] as? String != "help" }
        return [own]
            + below.flatMap { sub in
                commands(sub).map { ([sub["commandName"] as? String ?? ""] + $0.verb, $0.arguments) }
            }
    }

    /// Also where the parser would find `-h` in it.
    @Test(arguments: [["--window", "-24h"], ["--deadline", "-1h"], ["--window=-24h"]])
    func aTimeBeforeNowIsTold(option: [String]) throws {
        let outcome = try workspace.run(["enqueue", try prompts()] + option)
        #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errors.contains("-"), "\(outcome)")
    }
}
