// Databases of every earlier schema, left in the middle of their work, are opened, upgraded and worked off.

import Foundation
import GRDB
import TestSupport
import Testing

@Suite("Earlier schemas")
struct UpgradeTests {
    /// `Tests/Golden/schemas/make_schemas.py` made them.
    private static let schemas = [1, 2, 3, 6, 7, 9]
    private static let settings = [
        "TTBATCH_MODELS_DIRECTORY": Locations.golden("tiny").path, "TTBATCH_MODEL": "tiny-f16",
    ]

    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func open(_ schema: Int) throws {
        let text = try String(contentsOf: Locations.golden("schemas/schema-\(schema).sql"), encoding: .utf8)
        var configuration = Configuration()
        // The text has the tables in no particular order.
        configuration.foreignKeysEnabled = false
        try DatabaseQueue(path: workspace.database, configuration: configuration)
            .writeWithoutTransaction { try $0.execute(sql: text) }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: workspace.database)
    }

    private func run(_ arguments: String...) throws -> Outcome {
        try workspace.run(arguments, model: nil, environment: Self.settings)
    }

    @Test(arguments: schemas)
    func isWorkedOff(schema: Int) throws {
        try open(schema)
        // A reader does not upgrade, and says who does.
        let reading = try run("list")
        let isLatest = try run("db", "check").status == 0
        #expect(isLatest ? reading.status == 0 : reading.errors.contains("to upgrade it"))

        let daemon = try run("daemon", "--drain")
        #expect(daemon.status == 0, "\(daemon.errors)")
        #expect(daemon.errors.contains("jobs are back in the queue") && daemon.errors.contains("removed batch_6"))
        let check = try run("db", "check")
        #expect(check.status == 0, "\(check.output)")

        // Each job has one result: those that ended before have theirs still, the others what a new database gives.
        let expected = try fresh()
        var counts: [Int] = []
        for batch in 1...5 {
            let results = try ResultLine.byID(try run("results", "batch_\(batch)").lines)
            counts.append(results.count)
            for (id, result) in results where batch != 3 {
                #expect(result.errorCode == expected[id]?.errorCode && result.text == expected[id]?.text, "\(id)")
            }
            #expect(batch != 3 || results.values.allSatisfy { $0.errorCode == "batch_cancelled" })
        }
        #expect(counts == [7, 1, 6, 13, 6])
        #expect(try run("enqueue", try workspace.write("p.jsonl", "{\"prompt\":\"ab\"}\n")).output == "batch_7\n")
    }

    /// What the jobs of the fixtures give on a new database.
    private func fresh() throws -> [String: ResultLine] {
        var prompts = (0..<6).map { ("job-\($0)", "The number \($0) is", 6) }
        prompts += (0..<12).map { ("long-\($0)", "\($0) is", 200) }
        prompts += [("too-long", String(repeating: "word ", count: 500), 6), ("too-short", "x", 1)]
        let other = try Workspace()
        let file = try other.write(
            "p.jsonl",
            lines: try prompts.map {
                try requestLine($0.0, ["prompt": $0.1, "max_tokens": $0.2, "temperature": 0, "ignore_eos": true])
            })
        return try ResultLine.byID(try other.run("run", file, "--skip-invalid").lines)
    }
}
