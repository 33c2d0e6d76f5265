// Prompts and outputs are in the database and in the results, and nowhere else; nothing of them becomes a path or SQL.

import Foundation
import TestSupport
import Testing

@Suite("Privacy")
struct PrivacyTests {
    private static let secret = "Zwetschgenknoedel"
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    /// Nothing that ends up in logs, mails of cron or journals names what was asked or answered.
    @Test func promptsAndOutputsAreInNoLog() throws {
        let secret = Self.secret
        let file = try workspace.write(
            "p.jsonl",
            lines: [
                "{\"prompt\":\"\(secret)\",\"max_tokens\":4,\"ignore_eos\":true}",
                "{\"prompt\":\"\(String(repeating: secret + " ", count: 200))\",\"max_tokens\":4}",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"\(secret)\"}],\"max_tokens\":4,\"stop\":\"\(secret)\"}",
                "{\"messages\":[{\"role\":\"tool\",\"content\":\"\(secret)\"}],\"max_tokens\":4}",
            ])
        let run = try workspace.run("run", file, "--format", "jsonl", "--skip-invalid")
        #expect(!run.errors.contains(secret), "\(run.errors)")
        _ = try workspace.run("enqueue", file, "--skip-invalid")
        for environment in [["TTBATCH_TEST_FAILPOINTS": "writer.committed@1=kill"], [:]] {
            let daemon = try workspace.run("daemon", "--drain", environment: environment)
            #expect(daemon.errors.contains("owns the queue") && !daemon.errors.contains(secret), "\(daemon.errors)")
        }
        // Nor any word of the results.
        let answers = try workspace.run("results", "batch_1").lines.compactMap { try ResultLine($0).text }
        #expect(!answers.isEmpty)
        for verb in [["list"], ["show", "batch_1"], ["status"], ["status", "--metrics"], ["db", "check"]] {
            let told = try workspace.run(verb)
            for text in answers where text.count > 3 {
                #expect(!(told.output + told.errors + run.errors).contains(text))
            }
        }
        // Line errors name place and remedy, and the values of settings; what was written for the model they do not.
        for line in [
            "{\"prompt\":\"\(secret)\"", "\"\(secret)\"", secret, "{\"prompt\":\(secret)}",
            "{\"prompt\":{\"a\":\"\(secret)\"}}", "{\"prompt\":[\"a\",[\"\(secret)\"]]}",
            "{\"prompt\":[[1],\"\(secret)\"]}", "{\"messages\":\"\(secret)\"}",
            "{\"messages\":[\"\(secret)\"]}", "{\"messages\":[{\"role\":\"user\",\"content\":[\"\(secret)\"]}]}",
            "{\"messages\":[{\"role\":\"user\",\"content\":{\"text\":\"\(secret)\"}}]}",
            "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":\"\(secret)\"}",
        ] {
            let refused = try workspace.run("enqueue", "-", input: line + "\n")
            #expect(refused.status == 3 && refused.errors.contains("<stdin>:"), "\(refused.errors)")
            #expect(!refused.errors.contains(secret), "\(refused.errors)")
        }
    }

    /// A template may put into the reason for which it refuses a conversation whatever it likes.
    @Test func whatATemplateQuotesIsNotTold() throws {
        let model = try workspace.model(withTemplate: "{{ raise_exception('not a word of: ' + messages[0].content) }}")
        let line = #"{"messages":[{"role":"user","content":"\#(Self.secret)"}]}"#
        let refused = try workspace.run("enqueue", "-", input: line + "\n", model: model)
        #expect(refused.status == 3 && refused.errors.contains("not a word of: …"), "\(refused.errors)")
        #expect(!refused.errors.contains(Self.secret))
    }

    /// Identifiers from users are data, whatever they look like.
    @Test func idsAreNeitherPathsNorSQL() throws {
        let names = [
            "'; DROP TABLE jobs; --", "../../../../tmp/owned", "/etc/passwd", "a\u{0}b", "%s%n", "$(touch owned)",
        ]
        let lines = try names.map { try requestLine($0, ["prompt": "ab", "max_tokens": 2, "ignore_eos": true]) }
        let file = try workspace.write("'; DROP TABLE batches; --.jsonl", lines: lines)
        let before = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        let run = try workspace.run("run", file)
        #expect(run.status == 0, "\(run.errors)")
        #expect(Set(try ResultLine.byID(run.lines).keys) == Set(names))
        for id in ["1; DROP TABLE jobs", "batch_1'--", "../batch_1"] {
            #expect(try workspace.run("results", id).status == 6)
            #expect(try workspace.run("cancel", id).status == 6)
        }
        #expect(try workspace.run("db", "check").status == 0)
        let after = try FileManager.default.contentsOfDirectory(atPath: workspace.directory.path)
        #expect(
            Set(after).subtracting(before).allSatisfy {
                $0.hasPrefix("queue.db") || $0.hasSuffix(".out") || $0.hasSuffix(".err") || $0 == ".cache"
            }, "\(after)")
        // The home's cache has notes of models' SHA-256, by the numbers of their paths.
        let notes = try FileManager.default.subpathsOfDirectory(atPath: workspace.path(".cache"))
        #expect(notes.contains("ttbatch/sha256"))
        #expect(
            notes.allSatisfy { note in
                note == "ttbatch" || note == "ttbatch/sha256"
                    || note.hasPrefix("ttbatch/sha256/") && note.dropFirst(15).allSatisfy(\.isHexDigit)
            }, "\(notes)")
    }
}
