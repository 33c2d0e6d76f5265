// Files that were made for other programs: packed, of another kind, or for models of other names.

import Foundation
import TestSupport
import Testing

@Suite("Files made for others")
struct ForeignFileTests {
    let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private static let prompts =
        (1...3).map { "{\"custom_id\":\"p\($0)\",\"prompt\":\"ab \($0)\",\"max_tokens\":1}\n" }.joined()

    /// Runs a line of a shell in the workspace, with the built program as `ttbatch`.
    private func shell(_ line: String) throws -> Outcome {
        let program = Locations.program.deletingLastPathComponent().path
        let path = program + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
        return try RunningProgram(
            ["-c", line], program: "/bin/sh",
            environment: [
                "HOME": workspace.directory.path, "PATH": path, "TTBATCH_DB": workspace.database,
                "TTBATCH_MODEL": Locations.tinyModel, "SWIFT_BACKTRACE": "enable=no",
            ], in: workspace.directory
        ).waitForEnd()
    }

    private func has(_ program: String) throws -> Bool { try shell("command -v \(program)").status == 0 }

    private func expectNothingStored() throws {
        #expect(try workspace.run("list", "--drafts", "--json").output == "")
    }

    // MARK: - Packed

    @Test(arguments: ["gzip", "zstd"])
    func packedFilesAreRead(packer: String) throws {
        guard try has(packer) else { return }
        try workspace.write("p.jsonl", Self.prompts)
        // The name says nothing: the content does.
        #expect(try shell("\(packer) -c < p.jsonl > packed").status == 0)
        let run = try workspace.run("run", "packed")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try run.lines.map { try ResultLine($0).customID } == ["p1", "p2", "p3"])
        let piped = try shell("ttbatch enqueue - < packed")
        #expect(piped.output == "batch_2\n", "\(piped.errors)")
    }

    @Test(arguments: ["gzip", "zstd"], ["head -c 60", "sed s/./x/40"])
    func damagedFilesStoreNothing(packer: String, damage: String) throws {
        guard try has(packer) else { return }
        try workspace.write("p.jsonl", Self.prompts)
        #expect(try shell("export LC_ALL=C; \(packer) -c < p.jsonl | \(damage) > packed").status == 0)
        for verb in ["enqueue", "run"] {
            let outcome = try workspace.run(verb, "packed", "--skip-invalid")
            #expect(outcome.status == 3, "\(outcome.errors)")
            #expect(
                outcome.output == "" && outcome.errors.contains("packed: the \(packer) data is damaged"),
                "\(outcome.errors)")
            try expectNothingStored()
        }
    }

    /// A small file that unpacks to a very large one takes no more memory than another.
    @Test func aBombDoesNotFillMemory() throws {
        let bomb =
            "{ head -c 400000000 /dev/zero | tr '\\0' ' '; echo; yes '' | head -c 100000000; } | gzip -1 > bomb.gz"
        #expect(try shell(bomb).status == 0)
        let program = try workspace.start(["enqueue", "bomb.gz"])
        var peak = 0
        while program.isRunning {
            peak = max(peak, program.peakMemory ?? 0)
            usleep(1000)
        }
        let outcome = try program.waitForEnd()
        #expect(
            outcome.status == 3 && outcome.errors.contains(":1: the line has more than 67108864 bytes"),
            "\(outcome.errors)")
        #expect(peak > 0 && peak < 300 << 20)
    }

    // MARK: - Other kinds

    private static let kinds: [(name: String, text: String, make: String?, tool: String, said: String)] = [
        (
            "pretty-array.json",
            "[\n  {\n    \"custom_id\": \"0\",\n    \"prompt\": \"x\"\n  },\n  {\n    \"custom_id\": \"1\",\n    \"prompt\": \"x\"\n  }\n]\n",
            nil, "jq", "is a JSON array"
        ),
        (
            "objects.json", "{\n  \"prompt\": \"x\"\n}\n{\n  \"prompt\": \"y\"\n}\n", nil, "jq",
            "has JSON objects over several lines"
        ),
        ("strings.jsonl", "\"x\"\n\"y\"\n", nil, "jq", "has JSON strings"),
        ("plain text.jsonl", "What is the capital of France?\n\nTell me a joke\n", nil, "jq", "is text"),
        ("csv.jsonl", "custom_id,prompt\na,hello\nb,\"x, \"\"y\"\"\nz\"\n", nil, "python3", "is a table (CSV)"),
        ("semicolons.csv", "\u{FEFF}custom_id;prompt\r\na;hello\r\nb;x\r\n", nil, "python3", "is a table (CSV)"),
        ("tabs.tsv", "custom_id\tprompt\na\thello\nb\tx\n", nil, "python3", "is a table (TSV)"),
        ("utf16.jsonl", "{\"prompt\":\"é\"}\n{\"prompt\":\"y\"}\n", "iconv -f UTF-8 -t UTF-16", "iconv", "is UTF-16"),
        (
            "utf16le.jsonl", "{\"prompt\":\"é\"}\n{\"prompt\":\"y\"}\n", "iconv -f UTF-8 -t UTF-16LE", "iconv",
            "is UTF-16"
        ),
        ("packed.jsonl", "{\"prompt\":\"x\"}\n{\"prompt\":\"y\"}\n", "bzip2", "bzip2", "is packed (bzip2)"),
        ("packed.xz", "{\"prompt\":\"x\"}\n{\"prompt\":\"y\"}\n", "xz", "xz", "is packed (xz)"),
        ("twice.gz", "{\"prompt\":\"x\"}\n{\"prompt\":\"y\"}\n", "gzip | gzip", "gzip", "is packed (gzip)"),
        ("array.gz", "[\n{\"prompt\":\"x\"},\n{\"prompt\":\"y\"}]\n", "gzip", "jq", "is a JSON array"),
    ]

    /// One message with a command that does it.
    @Test(arguments: kinds.indices)
    func otherKindsAreToldOnce(index: Int) throws {
        let kind = Self.kinds[index]
        try workspace.write(kind.name, kind.text)
        if let make = kind.make {
            guard try has(kind.tool) else { return }
            #expect(try shell("cat \(kind.name) | \(make) > made && mv made \(kind.name)").status == 0)
        }
        for skips in [[], ["--skip-invalid"]] {
            let outcome = try workspace.run(["enqueue", kind.name] + skips)
            #expect(outcome.status == 3 && outcome.output == "")
            #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
            #expect(outcome.errors.hasPrefix("ttbatch: \(kind.name): \(kind.said)"), "\(outcome.errors)")
            try expectNothingStored()
        }
        let told = try workspace.run("enqueue", kind.name).errors
        let command = try #require(told.split(separator: "Convert it: ").last.map(String.init))
        guard try has(kind.tool) else { return }
        let converted = try shell(command)
        #expect(converted.status == 0, "\(command): \(converted.errors)")
        let batch = converted.output.trimmingCharacters(in: .whitespacesAndNewlines)
        let counts = try jsonObject(try workspace.run("show", batch, "--json").output)["request_counts"]
        #expect((counts as? [String: Any])?["total"] as? Int == 2, "\(command)")
    }

    /// The error for a text among objects says how to write it as an object.
    @Test func aLineOfTextIsToldHowToBeAPrompt() throws {
        let file = try workspace.write("p.jsonl", "{\"prompt\":\"x\"}\nhello\n\"hello\"\n")
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3)
        for line in [2, 3] {
            #expect(
                outcome.errors.split(separator: "\n").contains {
                    $0.hasPrefix("\(file):\(line): ") && $0.contains("{\"prompt\": …}")
                })
        }
    }

    @Test func aByteOrderMarkWithinTheFileIsShown() throws {
        let line = "{\"custom_id\":\"a\",\"prompt\":\"The capital of France is\",\"max_tokens\":4,\"temperature\":0}\n"
        let file = try workspace.write("bom.jsonl", line + "\u{FEFF}" + line.replacing("\"a\"", with: "\"b\""))
        let outcome = try workspace.run("enqueue", file)
        #expect(outcome.status == 3)
        #expect(
            outcome.errors.hasPrefix("\(file):2:1: unexpected U+FEFF (a byte order mark) where a value should be"),
            "\(outcome.errors)")
        #expect(!outcome.errors.contains("\u{FEFF}"))
        let mended = try shell(#"sed 's/\xEF\xBB\xBF//' < bom.jsonl | ttbatch enqueue -"#)
        #expect(mended.output == "batch_2\n" || mended.output == "batch_1\n", "\(mended.errors)")
    }

    // MARK: - Names of models

    private func openAIFile() throws -> String {
        try workspace.write(
            "openai.jsonl",
            lines: try ["helpful", "unhelpful"].enumerated().map { index, word in
                try requestLine(
                    "request-\(index + 1)",
                    [
                        "model": "gpt-4o-mini", "prompt": "You are a \(word) assistant. Hello world!", "max_tokens": 3,
                    ])
            })
    }

    private static let catalogue = ["TTBATCH_MODELS_DIRECTORY": Locations.golden("tiny").path]

    @Test func aForeignModelIsToldOnceWithItsRemedy() throws {
        let file = try openAIFile()
        let unknown = try workspace.run(["enqueue", file], model: nil, environment: Self.catalogue)
        #expect(unknown.status == 3 && unknown.output == "")
        #expect(unknown.errors.split(separator: "\n").count == 1, "\(unknown.errors)")
        #expect(unknown.errors.contains("\(file):1: body.model: \"gpt-4o-mini\" is not a model here"))
        #expect(unknown.errors.contains("--map-model gpt-4o-mini=NAME") && unknown.errors.contains("tiny-f16"))
        let other = try workspace.run(
            ["enqueue", file, "--model", "tiny-f16"], model: nil, environment: Self.catalogue)
        #expect(other.status == 3)
        #expect(other.errors.split(separator: "\n").count == 2, "\(other.errors)")
        #expect(other.errors.contains("--map-model gpt-4o-mini=tiny-f16"))
        try expectNothingStored()
    }

    /// By a flag, by the configuration, for all names; the results have the lines' name whatever runs.
    @Test(arguments: [
        ["--map-model", "gpt-4o-mini=tiny-f16"], ["--map-model", "*=tiny-f16"],
        ["--map-model", "GPT-4o-mini=\(Locations.tinyModel)"], ["--set", "models.gpt-4o-mini=tiny-f16"],
        ["--set", "models.gpt-4o-mini=\(Locations.tinyModel)"],
        ["--model", "tiny-f16", "--map-model", "gpt-4o-mini=\(Locations.tinyModel)"],
    ])
    func aForeignModelRunsOnOneThatIsHere(flags: [String]) throws {
        let run = try workspace.run(["run", openAIFile()] + flags, model: nil, environment: Self.catalogue)
        #expect(run.status == 0, "\(run.errors)")
        let results = try run.lines.map { try ResultLine($0) }
        #expect(results.map { $0.body?["model"] as? String } == ["gpt-4o-mini", "gpt-4o-mini"])
        let again = try workspace.run(["results", "1"], model: nil)
        #expect(again.output == run.output)
        let batch = try jsonObject(try workspace.run("show", "1", "--json").output)
        #expect(batch["model"] as? String == "gpt-4o-mini")
        let own = try #require(batch["ttbatch"] as? [String: Any])
        let runs = try #require(own["model"] as? String)
        #expect(["tiny-f16", Locations.tinyModel, "gpt-4o-mini"].contains(runs))
        let shown = try workspace.run("show", "1").output
        #expect(shown.contains("in results gpt-4o-mini") == (runs != "gpt-4o-mini"), "\(shown)")
    }

    /// Enqueued by one and run by another who knows nothing of the mapping; retried too.
    @Test func theBatchRemembersWhatRuns() throws {
        let map = ["--map-model", "gpt-4o-mini=tiny-f16"]
        let enqueued = try workspace.run(["enqueue", openAIFile()] + map, model: nil, environment: Self.catalogue)
        #expect(enqueued.output == "batch_1\n", "\(enqueued.errors)")
        #expect(try workspace.run("cancel", "1").status == 0)
        let retried = try workspace.run(["retry", "1", "--state", "cancelled"], model: nil)
        #expect(retried.output == "batch_2\n")
        let daemon = try workspace.run(["daemon", "--drain"], model: nil, environment: Self.catalogue)
        #expect(daemon.status == 0, "\(daemon.errors)")
        let results = try workspace.run(["results", "2"], model: nil).lines.map { try ResultLine($0) }
        #expect(results.map { $0.body?["model"] as? String } == ["gpt-4o-mini", "gpt-4o-mini"])
    }

    /// Two names of one model are one batch, and where a model lies is in no result.
    @Test func eachLineKeepsItsNameAndNoPathIsShown() throws {
        let file = try workspace.write(
            "p.jsonl",
            lines: [
                "{\"prompt\":\"a\",\"max_tokens\":1}", "{\"prompt\":\"a\",\"max_tokens\":1,\"model\":\"gpt-4o\"}",
                "{\"prompt\":\"a\",\"max_tokens\":1,\"model\":\"\(Locations.tinyModel)\"}",
                "{\"prompt\":\"a\",\"max_tokens\":1,\"model\":\"org/model\"}",
            ])
        let run = try workspace.run(
            ["run", file, "--model", Locations.tinyModel, "--map-model", "*=tiny-f16"], model: nil,
            environment: Self.catalogue)
        #expect(run.status == 0, "\(run.errors)")
        let names = try run.lines.map { try ResultLine($0).body?["model"] as? String }
        #expect(names == ["tiny-f16", "gpt-4o", "tiny-f16", "org/model"])
        #expect(!run.output.contains(Locations.tinyModel))
    }

    @Test func mistakesInMappingsAreTold() throws {
        let file = try openAIFile()
        for (entry, words) in [("gpt-4o-mini", "expected FROM=TO"), ("=x", "expected FROM=TO")] {
            let outcome = try workspace.run("enqueue", file, "--map-model", entry)
            #expect(
                outcome.status == 2 && outcome.errors.contains("--map-model \(entry): \(words)"), "\(outcome.errors)")
        }
        let twice = try workspace.run("enqueue", file, "--map-model", "a=x", "--map-model", "a=y")
        #expect(twice.status == 2 && twice.errors.contains("a is mapped twice"))
        let missing = try workspace.run("enqueue", file, "--map-model", "gpt-4o-mini=none")
        #expect(missing.status == 6 && missing.errors.contains("--map-model gpt-4o-mini: model \"none\" is not known"))
        try expectNothingStored()
    }

    // MARK: - Errors in results

    /// OpenAI's error objects name the field, where there is one.
    @Test func errorsNameTheirField() throws {
        let chat = "{\"role\":\"user\",\"content\":\"" + String(repeating: "word ", count: 500) + "\"}"
        let file = try workspace.write(
            "p.jsonl",
            lines: [
                "{\"custom_id\":\"good\",\"prompt\":\"a\",\"max_tokens\":1}",
                try requestLine("bad", ["prompt": "a", "temperature": -1]),
                "{\"custom_id\":\"json\",\"prompt\":}",
                "{\"custom_id\":\"good\",\"prompt\":\"a\"}",
                "{\"custom_id\":\"long\",\"prompt\":\"\(String(repeating: "word ", count: 500))\"}",
                "{\"custom_id\":\"chat\",\"messages\":[\(chat)]}",
                "{\"custom_id\":\"token\",\"prompt\":[1000000]}",
                "{\"custom_id\":\"stop\",\"prompt\":\"a\",\"stop_token_ids\":[1000000]}",
            ])
        let run = try workspace.run("run", file, "--skip-invalid")
        #expect(run.status == 4, "\(run.errors)")
        let params = try run.lines.map { line in
            (try ResultLine(line).body?["error"] as? [String: Any])?["param"] as? String
        }
        #expect(params == [nil, "temperature", nil, "custom_id", "prompt", "messages", "prompt", "stop_token_ids"])
    }

    /// A mistake in every line is reported once for the file; a mistake in some lines is reported for each.
    @Test func theSameMistakeInEveryLineIsToldOnce() throws {
        let lines = [
            "a comma": (0..<150).map { "{\"prompt\":\"x\($0)\"}," }, "Python": (0..<150).map { "{'prompt': 'x\($0)'}" },
        ]
        for (kind, lines) in lines {
            let outcome = try workspace.run("enqueue", try workspace.write("p.jsonl", lines: lines))
            #expect(
                outcome.status == 3 && outcome.errors.split(separator: "\n").count == 1, "\(kind): \(outcome.errors)")
            #expect(outcome.errors.contains("p.jsonl:1:") && outcome.errors.contains("so are all of the first"))
        }
        try Data((0..<150).flatMap { Array("{\"prompt\":\"caf".utf8) + [0xE9] + Array("\($0)\"}\n".utf8) })
            .write(to: workspace.directory.appending(path: "latin.jsonl"))
        let latin = try workspace.run("enqueue", workspace.path("latin.jsonl"))
        #expect(latin.status == 3 && latin.errors.split(separator: "\n").count == 1, "\(latin.errors)")
        let mixed = ["{\"prompt\":\"x\"}"] + Array(repeating: "{", count: 12)
        let told = try workspace.run("enqueue", try workspace.write("p.jsonl", lines: mixed))
        #expect(told.errors.split(separator: "\n").count == 13, "\(told.errors)")
        try expectNothingStored()
    }
}
