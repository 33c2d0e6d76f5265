// etc/cron/ttbatch-nightly as cron runs it: with cron's environment and nothing else, at cron's hours.

import Foundation
import TestSupport
import Testing

/// Debian's `faketime`; `etc/test` installs it.
private let hasFakeClock = FileManager.default.isExecutableFile(atPath: "/usr/bin/faketime")

@Suite("nightly cron job", .enabled(if: hasFakeClock))
struct CronTests {
    private let workspace: Workspace
    private let variables: [String: String]
    /// Hour and command of each job.
    private let jobs: [(hour: Int, command: String)]

    init() throws {
        let workspace = try Workspace()
        self.workspace = workspace
        for folder in ["bin", "prompts", "cache/ttbatch/models"] {
            try FileManager.default.createDirectory(
                atPath: workspace.path(folder), withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            atPath: workspace.path("bin/ttbatch"), withDestinationPath: Locations.program.path)
        try FileManager.default.copyItem(
            atPath: Locations.tinyModel,
            toPath: workspace.path("cache/ttbatch/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
        let places = [
            "/srv/prompts": workspace.path("prompts"), "/usr/local/bin": workspace.path("bin"),
            "/var/cache": workspace.path("cache"), "/var/lib/ttbatch/ttbatch.db": workspace.database,
        ]
        var text = try String(
            contentsOf: Locations.repository.appending(path: "etc/cron/ttbatch-nightly"), encoding: .utf8)
        for (place, ours) in places {
            #expect(text.contains(place))
            text = text.replacing(place, with: ours)
        }
        var variables: [String: String] = [:]
        var jobs: [(Int, String)] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            if let assignment = line.wholeMatch(of: /([A-Z_]+)=(.*)/) {
                variables[String(assignment.1)] = String(assignment.2)
                continue
            }
            let job = try #require(line.wholeMatch(of: /(\d+) (\d+) \* \* \*  ttbatch  (.*)/), "\(line)")
            #expect(job.1 == "0" || job.1 == "30")
            // To cron a percent sign ends the command, unless it is escaped.
            let command = job.3.replacing("\\%", with: "\u{0}")
            #expect(!command.contains("%"))
            jobs.append((Int(job.2)!, String(command.replacing("\u{0}", with: "%"))))
        }
        self.variables = variables
        self.jobs = jobs
        #expect(jobs.count == 2)
    }

    /// Runs a command at a time, with cron's environment.
    private func at(_ time: String, _ command: String) throws -> Outcome {
        let environment = variables.merging(["HOME": workspace.directory.path, "LOGNAME": "ttbatch", "TZ": "UTC"]) {
            $1
        }
        return try RunningProgram(
            ["-i"] + environment.map { "\($0.key)=\($0.value)" }
                + ["/usr/bin/faketime", time, try #require(environment["SHELL"]), "-c", command],
            program: "env", environment: [:], in: workspace.directory
        ).waitForEnd()
    }

    private func evening(_ day: String) throws -> Outcome {
        try at("\(day) 22:00:00", try #require(jobs.first { $0.hour == 22 }).command)
    }

    private func morning(_ day: String) throws -> Outcome {
        try at("\(day) 06:30:00", try #require(jobs.first { $0.hour == 6 }).command)
    }

    private func results(_ night: String) -> [Substring]? {
        (try? workspace.read("prompts/nightly-\(night).results.jsonl"))?.split(separator: "\n")
    }

    @Test func aNightIsCollectedWholeOrNotAtAll() throws {
        _ = try workspace.write(
            "prompts/today.jsonl", lines: (0..<5).map { "{\"prompt\":\"ab\($0)\",\"max_tokens\":3}" })
        #expect(try evening("2026-11-28").status == 0)
        // Called twice, and nothing to say about it on stdout.
        let again = try evening("2026-11-28")
        #expect(again.status == 0 && again.output.isEmpty)
        #expect(try workspace.run("list", "--json").lines.count == 1)

        let early = try morning("2026-11-29")
        #expect(early.status == 7 && early.errors.contains("0 of 5"), "\(early)")
        #expect(results("2026-11-28") == nil)
        let daemon = try at("2026-11-28 22:00:01", "ttbatch daemon --drain")
        #expect(daemon.status == 0, "\(daemon.errors)")
        let whole = try morning("2026-11-29")
        #expect(whole.status == 0 && whole.output.isEmpty && whole.errors.isEmpty, "\(whole)")
        #expect(results("2026-11-28")?.count == 5)
    }

    @Test func aFileWithATypoLeavesTheLastNightAlone() throws {
        try workspace.write("prompts/today.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":3}\n")
        #expect(try evening("2026-11-27").status == 0)
        #expect(try at("2026-11-27 22:00:01", "ttbatch daemon --drain").status == 0)
        #expect(try morning("2026-11-28").status == 0)
        try workspace.write("prompts/today.jsonl", "{\"promt\":\"ab\"}\n")
        let typo = try evening("2026-11-28")
        #expect(typo.status == 3 && typo.output.isEmpty && typo.errors.contains("today.jsonl:1"))
        let missing = try morning("2026-11-29")
        #expect(missing.status == 6 && missing.errors.contains("nightly-2026-11-28"), "\(missing)")
        #expect(results("2026-11-27")?.count == 1 && results("2026-11-28") == nil)
    }

    /// What has not begun by six has expired, and says so.
    @Test func whatComesTooLateExpires() throws {
        try workspace.write("prompts/today.jsonl", "{\"prompt\":\"ab\",\"max_tokens\":3}\n")
        #expect(try evening("2026-11-28").status == 0)
        #expect(try at("2026-11-29 06:10:00", "ttbatch daemon --drain").status == 0)
        #expect(try morning("2026-11-29").status == 0)
        #expect(try ResultLine(String(try #require(results("2026-11-28")?.first))).errorCode == "batch_expired")
    }
}
