// Bad input: every bad line is named with its remedy, and nothing is stored.

import Foundation
import TestSupport
import Testing

@Suite("Input errors")
struct InputErrorTests {
    let workspace: Workspace
    let file: String

    init() throws {
        workspace = try Workspace()
        file = try workspace.write(
            "bad.jsonl",
            """
            {"custom_id":"a","prompt":"ab","max_tokens":2}
            {"custom_id":"b","prompt":"ab","temperature":-1}
            {"custom_id":"c","prompt":"ab",
            {"custom_id":"a","prompt":"ab"}
            {"custom_id":"e","prompt":"ab","temprature":1}
            {"custom_id":"f","prompt":"ab","logprobs":30}
            """)
    }

    @Test func everyLineIsReportedAndNothingIsStored() throws {
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3)
        #expect(outcome.output == "")
        for (line, word) in [(2, "temperature"), (3, "object"), (4, "custom_id"), (5, "temperature"), (6, "logprobs")] {
            let isReported = outcome.errors.split(separator: "\n").contains {
                $0.hasPrefix("\(file):\(line):") && $0.contains(word)
            }
            #expect(isReported, "line \(line) in: \(outcome.errors)")
        }
        #expect(!outcome.errors.contains("\(file):1:"))
        #expect(try workspace.run("list", "--drafts", "--json").output == "")
    }

    /// Several files are stored all together or not at all, and the errors of each are reported.
    @Test func oneBadFileOfSeveralStoresNone() throws {
        let good = try workspace.write("good.jsonl", "{\"prompt\":\"ab\"}\n")
        let other = try workspace.write("other.jsonl", "nonsense\n")
        for verb in ["enqueue", "run"] {
            let outcome = try workspace.run(verb, good, file, other)
            #expect(outcome.status == 3)
            #expect(outcome.output == "")
            #expect(outcome.errors.contains("\(file):2:") && outcome.errors.contains("\(other): is text"))
            #expect(try workspace.run("list", "--drafts", "--json").output == "")
        }
    }

    @Test func maxErrorsEndsTheReading() throws {
        let outcome = try workspace.run("enqueue", file, "--max-errors", "2")
        #expect(outcome.status == 3)
        #expect(!outcome.errors.contains("\(file):5:"))
        #expect(outcome.errors.contains("--max-errors"))
    }

    @Test func skipInvalidStoresTheOthers() throws {
        let outcome = try workspace.run("run", file, "--skip-invalid")
        #expect(outcome.status == 4, "\(outcome.errors)")
        let results = try outcome.lines.map { try ResultLine($0) }
        #expect(results.count == 6)
        #expect(results.filter { $0.status == 200 }.map(\.customID) == ["a"])
        #expect(results.filter { $0.status == 400 }.count == 5)
        // A second run of the failed ones would fail again: there is nothing to retry.
        #expect(try workspace.run("retry", "batch_1").status == 8)
    }

    @Test(arguments: ["", "\n\n\n"])
    func emptyFiles(text: String) throws {
        let outcome = try workspace.run("enqueue", try workspace.write("empty.jsonl", text))
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains("no prompt"))
    }

    @Test func missingFilesAndModels() throws {
        #expect(try workspace.run("enqueue", workspace.path("nothing.jsonl")).status == 6)
        let prompt = try workspace.write("good.jsonl", "{\"prompt\":\"ab\"}\n")
        let outcome = try workspace.run("enqueue", prompt, "--model", "no-such-model")
        #expect(outcome.status == 6)
        #expect(outcome.errors.contains("no-such-model"))
        #expect(try workspace.run("list", "--drafts", "--json").output == "")
    }

    @Test func linesOfAnotherModel() throws {
        let lines = ["{\"prompt\":\"a\"}", "{\"prompt\":\"b\",\"model\":\"gpt-4o\"}"]
        let outcome = try workspace.run("enqueue", try workspace.write("models.jsonl", lines: lines))
        #expect(outcome.status == 3)
        #expect(outcome.errors.contains(":2:") && outcome.errors.contains("gpt-4o"))
    }
}
