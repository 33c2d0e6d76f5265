// The keys of `--json` are those that docs/json.md names, neither more nor fewer.

import Foundation
import TestSupport
import Testing

@Suite("keys of --json")
struct JSONKeyTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// The keys of a section's table.
    private static func documented(_ title: String) throws -> Set<String> {
        let text = try String(contentsOf: Locations.repository.appending(path: "docs/json.md"), encoding: .utf8)
        let section = try #require(
            text.components(separatedBy: "\n## ").first { $0.hasPrefix(title + "\n") }, "\(title)")
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `") }
        return Set(
            rows.flatMap { row in
                row.split(separator: "|")[0].split(separator: "`").filter { !$0.contains(" ") && $0 != "," }.map(
                    String.init)
            })
    }

    /// The keys of all objects, as the documentation writes them.
    private func keys(of lines: [String]) throws -> Set<String> {
        var keys: Set<String> = []
        func visit(_ value: Any, _ path: String) {
            switch value {
            case let object as [String: Any]:
                for (key, value) in object {
                    // These keys are places in a text.
                    if path == "ttbatch.confidence[]" { continue }
                    let place = path.isEmpty ? key : "\(path).\(key)"
                    // An object is covered by its members.
                    if !(value is [String: Any]) { keys.insert(place) }
                    visit(value, place)
                }
            case let array as [Any]: for element in array { visit(element, path + "[]") }
            default: break
            }
        }
        #expect(!lines.isEmpty)
        for line in lines { visit(try jsonObject(line), "") }
        return keys
    }

    private func compare(
        _ title: String, _ outputs: [String]..., location: SourceLocation = #_sourceLocation
    ) throws {
        let printed = try keys(of: outputs.flatMap(\.self))
        let documented = try Self.documented(title)
        #expect(printed.subtracting(documented).sorted() == [], "not documented", sourceLocation: location)
        #expect(documented.subtracting(printed).sorted() == [], "not printed", sourceLocation: location)
    }

    private func json(_ arguments: String...) throws -> [String] {
        try workspace.run(arguments + ["--json"], environment: ["TTBATCH_MODELS_DIRECTORY": workspace.path("models")])
            .lines
    }

    @Test func areThoseOfTheDocumentation() throws {
        try FileManager.default.createDirectory(atPath: workspace.path("models"), withIntermediateDirectories: true)
        try workspace.write("models/broken.gguf", "GGUF")
        let tools: [[String: Any]] = [["type": "function", "function": ["name": "f"]]]
        func chat(_ fields: [String: Any]) -> [String: Any] {
            let template = "{{ tools }}{{ messages[0].content }}<think>"
            return [
                "messages": [["role": "user", "content": "hello"]], "chat_template": template + "{# </think> #}",
                "max_tokens": 5,
            ].merging(fields) { $1 }
        }
        let named: [String: Any] = ["type": "function", "function": ["name": "f"]]
        let file = try workspace.write(
            "p.jsonl",
            lines: [
                requestLine("called", url: "/v1/chat/completions", chat(["tools": tools, "tool_choice": named])),
                requestLine("unread", url: "/v1/chat/completions", chat(["tools": tools])),
                requestLine(
                    "a", ["prompt": "ab", "max_tokens": 3, "return_token_ids": true, "guided_regex": "[a-c]{2}"]),
                requestLine(
                    "b", url: "/v1/chat/completions",
                    ["messages": [["role": "user", "content": "hello"]], "max_tokens": 2]),
                requestLine("scored", ["prompt": "ab", "classify": ["labels": ["c", "d"]]]),
                requestLine("sure", ["prompt": "ab", "json_confidence": true, "guided_json": ["const": [1]]]),
                requestLine("c", ["prompt": [70, 1_000_000], "max_tokens": 4]),
                requestLine("d", ["prompt": "ab", "temprature": 1]),
            ])
        #expect(try workspace.run("run", file, "--skip-invalid", "--name", "some").status == 4)
        #expect(try workspace.run("enqueue", file, "--skip-invalid", "--deadline", "2099-01-01 00:00").status == 0)
        #expect(try workspace.run("cancel", "batch_2").status == 0)

        try compare("`ttbatch show --json`, `ttbatch list --json`", json("show", "some"), json("list"))
        #expect(try keys(of: json("list")).isSubset(of: keys(of: json("show", "some"))))
        let interval = try json("status", "--metrics")
        try compare("`ttbatch status --metrics --json`", interval)
        let metrics = try Self.documented("`ttbatch status --metrics --json`")
        let status = try keys(of: json("status"))
        let own = status.filter { !$0.hasPrefix("latest_metrics.") }.union(["latest_metrics"])
        #expect(own == (try Self.documented("`ttbatch status --json`")))
        #expect(Set(status.filter { $0.hasPrefix("latest_metrics.") }.map { String($0.dropFirst(15)) }) == metrics)
        try compareModels()
        try compare("`ttbatch devices --json`", json("devices"))
        try compare("`ttbatch db check --json`", json("db", "check"))
        try compare("Results", workspace.run("results", "1").lines, workspace.run("results", "2").lines)
    }

    private func compareModels() throws {
        let template = try workspace.write("t.jinja", "{{ messages[0].content }}")
        let settings = [
            "--config",
            try workspace.write(
                "settings.yaml",
                """
                models:
                  mine:
                    path: \(Locations.tinyModel)
                    max_model_len: 128
                    quantize: q8_0
                    template: \(template)
                    tool_calls: hermes
                    reasoning: think
                    tokenizer: {pre: gpt-2}
                    defaults: {temperature: 0.5, top_p: 0.9, top_k: 7, min_p: 0.1, repetition_penalty: 1.1, max_tokens: 9}
                """),
        ]
        func models(_ arguments: String...) throws -> [String] {
            try workspace.run(
                ["models"] + arguments + ["--json"] + settings,
                environment: ["TTBATCH_MODELS_DIRECTORY": workspace.path("models")]
            ).lines
        }
        try compare("`ttbatch models --json`", models("list"))
        // The settings are those of the list.
        let inspected = try keys(of: models("inspect", "mine"))
        let documented = try Self.documented("`ttbatch models --json`").filter { $0.hasPrefix("settings.") }
        #expect(inspected.filter { $0.hasPrefix("settings.") } == documented)
        #expect(
            inspected.subtracting(documented)
                == (try Self.documented("`ttbatch models inspect --json`").subtracting(["settings"])))
        try compare("`ttbatch models verify --json`", models("verify"))
        try compare("`ttbatch models pull --json`", json("models", "pull"))
    }
}
