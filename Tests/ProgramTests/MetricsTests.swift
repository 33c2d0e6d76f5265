// `/metrics` of a daemon that has worked: its counters are what a recount of the database finds, and everything that is
// written about metrics is on the page.

import Foundation
import TestSupport
import Testing

@Suite("Metrics")
struct MetricsTests {
    private let workspace: Workspace

    init() throws { workspace = try Workspace() }

    private func curl(_ path: String, _ options: String...) throws -> String {
        try RunningProgram(
            ["-s", "--unix-socket", workspace.path("s")] + options + ["http://localhost" + path], program: "curl",
            environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory
        ).waitForEnd().output
    }

    private func post(_ body: [String: Any]) throws {
        let data = String(decoding: try JSONSerialization.data(withJSONObject: body), as: UTF8.self)
        _ = try curl("/v1/completions", "--data-binary", data)
    }

    private func daemon(_ settings: String...) throws -> RunningProgram {
        let all = ["server.listen=unix:\(workspace.path("s"))", "server.metrics_vllm_names=true"] + settings
        let daemon = try workspace.start(["daemon"] + all.flatMap { ["--set", $0] })
        try eventually("a loaded model") { try curl("/ready", "-w", "%{http_code}") == "200" }
        return daemon
    }

    private func page() throws -> ScrapedPage { ScrapedPage(try curl("/metrics")) }

    private func enqueue(_ name: String, _ requests: [[String: Any]], _ options: String...) throws {
        let lines = try requests.enumerated().map { try requestLine("\(name)-\($0)", $1) }
        let file = try workspace.write("\(name).jsonl", lines: lines)
        #expect(try workspace.run(["enqueue", file] + options).status == 0)
    }

    private func summary(of batch: Int) throws -> [String: Any] {
        let object = try jsonObject(workspace.run("show", "\(batch)", "--json").output)
        return try #require(object["ttbatch"] as? [String: Any])
    }

    /// A batch with jobs that succeed and jobs that fail, one that is cancelled as it runs, and callers beside them.
    @Test func countersAreTheStoresRecount() throws {
        let daemon = try daemon("engine.max_num_seqs=4", "daemon.commit_interval_ms=20")
        let forbidden: [String: Any] = ["prompt": "ab", "min_tokens": 2, "stop_token_ids": Array(0..<288)]
        let good = (0..<30).map { index -> [String: Any] in
            ["prompt": "the king \(index)", "max_tokens": 5 + index, "seed": index]
        }
        try enqueue("mixed", good + [forbidden, forbidden, forbidden])
        let long = (0..<4000).map { index -> [String: Any] in
            ["prompt": "the queen \(index)", "max_tokens": 200, "ignore_eos": true]
        }
        try enqueue("long", long, "--priority", "-1")
        for index in 0..<4 { try post(["prompt": "a caller \(index)", "max_tokens": 6, "ignore_eos": true]) }
        try post(["prompt": "a caller", "max_tokens": 6, "ignore_eos": true, "stream": true])
        try post(forbidden)
        try post(["prompt": "ab", "temprature": 1])
        let leaving = try RunningProgram(
            [
                "-sN", "--unix-socket", workspace.path("s"), "http://localhost/v1/completions", "--data-binary",
                "{\"prompt\":\"ab\",\"max_tokens\":250,\"ignore_eos\":true,\"stream\":true}",
            ], program: "curl", environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory)
        try eventually("a token") { leaving.outputSoFar.contains("data:") || !leaving.isRunning }
        leaving.send(SIGKILL)
        _ = try leaving.outcome()
        _ = try workspace.run("wait", "1")
        try eventually("results of the second batch") { try summary(of: 2)["succeeded"] as? Int ?? 0 > 8 }
        // All rows of the device may end in one step.
        try eventually("rows") { try page().sum("ttbatch_engine_rows_running") > 0 }
        let during = try page()
        #expect(during.names.contains("ttbatch_oldest_pending_seconds"))
        #expect(during.sum("ttbatch_oldest_pending_seconds", ["priority": "-1"]) > 0)
        #expect(try workspace.run("cancel", "2").status == 0)
        try eventually("no more running jobs") { try page().sum("ttbatch_engine_rows_running") == 0 }

        let after = try page()
        let batches = try [summary(of: 1), summary(of: 2)]
        func stored(_ key: String) -> Double { batches.reduce(0) { $0 + Double($1[key] as? Int ?? 0) } }
        #expect(stored("cancelled") > 0 && stored("failed") == 3)
        for state in ["succeeded", "failed", "cancelled", "expired", "pending", "running"] {
            #expect(after.sum("ttbatch_jobs", ["state": state]) == stored(state), "\(state)")
        }
        for result in ["succeeded", "failed", "expired"] {
            #expect(after.sum("ttbatch_jobs_finished_total", ["result": result]) == stored(result), "\(result)")
        }
        #expect(after.sum("ttbatch_batches", ["status": "completed"]) == 1)
        #expect(after.sum("ttbatch_batches", ["status": "cancelled"]) == 1)
        for batch in batches {
            for failure in batch["failures"] as? [[String: Any]] ?? [] {
                let code = try #require(failure["code"] as? String)
                let counted = after.sum("ttbatch_jobs_finished_total", ["error_code": code])
                #expect(counted == Double(failure["jobs"] as? Int ?? -1), "\(code)")
            }
        }
        try compareResults(after)
        // Those who left or were refused have no result.
        #expect(after.sum("ttbatch_online_requests_total", ["result": "succeeded"]) >= 5)
        #expect(after.sum("ttbatch_online_requests_total", ["result": "failed"]) == 1)
        #expect(after.sum("ttbatch_online_requests_total") == 7)
        #expect(after.sum("ttbatch_http_requests_total", ["route": "/v1/completions", "status": "400"]) == 2)
        try everyNameIsThere(in: during.names.union(after.names))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// The results' reasons, tokens and times, one by one.
    private func compareResults(_ page: ScrapedPage) throws {
        let results = try [workspace.run("results", "1"), workspace.run("results", "2", "--partial")]
            .flatMap(\.lines).map { try ResultLine($0) }.filter { $0.status == 200 }
        let batch = ["source": "batch"]
        for reason in ["stop", "length"] {
            let expected = results.count { $0.finishReason == reason }
            #expect(page.sum("ttbatch_jobs_finished_total", ["finish_reason": reason]) == Double(expected), "\(reason)")
        }
        for (family, key) in [("prompt", "prompt_tokens"), ("generated", "completion_tokens")] {
            let tokens = results.reduce(0) { $0 + ($1.usage?[key] as? Int ?? 0) }
            #expect(page.sum("ttbatch_job_\(family)_tokens_sum", batch) == Double(tokens), "\(family)")
        }
        for part in ["queued", "prefill", "decode", "total"] {
            let milliseconds = results.reduce(0) { $0 + ($1.timings?["\(part)_ms"] as? Int ?? 0) }
            #expect(
                abs(page.sum("ttbatch_job_\(part)_seconds_sum", batch) * 1000 - Double(milliseconds)) < 0.01, "\(part)")
            #expect(page.sum("ttbatch_job_\(part)_seconds_count", batch) == Double(results.count), "\(part)")
        }
        // Jobs that were cancelled got tokens too.
        let generated = results.reduce(0) { $0 + ($1.usage?["completion_tokens"] as? Int ?? 0) }
        #expect(page.sum("ttbatch_engine_generation_tokens_total") >= Double(generated))
        #expect(page.sum("vllm:generation_tokens_total") == page.sum("ttbatch_engine_generation_tokens_total"))
    }

    /// What the document, the dashboard and the alerts name is on the page, and the document has all that is on the page.
    private func everyNameIsThere(in names: Set<String>) throws {
        let document = try Self.names(in: "docs/metrics.md")
        for file in ["docs/metrics.md", "etc/grafana/ttbatch.json", "etc/prometheus/alerts.yml"] {
            #expect(try Self.names(in: file).subtracting(names) == [], "\(file) names what is not on the page")
        }
        #expect(names.subtracting(document) == [], "docs/metrics.md does not have them")
        let dashboard = try Data(contentsOf: Locations.repository.appending(path: "etc/grafana/ttbatch.json"))
        #expect(try JSONSerialization.jsonObject(with: dashboard) is [String: Any])
    }

    private static func names(in file: String) throws -> Set<String> {
        let text = try String(contentsOf: Locations.repository.appending(path: file), encoding: .utf8)
        return Set(
            text.matches(of: /\b(?:ttbatch_|process_|vllm:)[a-z0-9_]+/).map { match in
                String(match.output).replacing(/_(?:bucket|sum|count)$/, with: "")
            }.filter { !$0.hasSuffix("_") })
    }

    @Test func theFormatIsWhatIsAskedFor() throws {
        let daemon = try daemon()
        let type = try curl("/metrics", "-o", "/dev/null", "-w", "%{content_type}")
        #expect(type == "text/plain; version=0.0.4; charset=utf-8")
        let accept = "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        let open = try curl("/metrics", "-H", accept, "-w", "%{content_type}")
        #expect(open.hasSuffix("\n# EOF\napplication/openmetrics-text; version=1.0.0; charset=utf-8"))
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }

    /// vLLM's names are left out: they have the colon that the tool complains of.
    @Test(.enabled(if: Locations.promtool != nil))
    func prometheusToolHasNoComplaint() throws {
        func check(_ words: String..., input: String? = nil) throws {
            let outcome = try RunningProgram(
                words, program: try #require(Locations.promtool), input: input,
                environment: ["PATH": "/usr/bin:/bin"], in: workspace.directory
            ).waitForEnd()
            #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        }
        let daemon = try daemon()
        try post(["prompt": "a caller", "max_tokens": 6])
        let lines = try curl("/metrics").split(separator: "\n").filter { !$0.contains("vllm:") }
        #expect(lines.count > 100)
        try check("check", "metrics", input: lines.map { $0 + "\n" }.joined())
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
        let folder = Locations.repository.appending(path: "etc/prometheus").path
        try check("check", "rules", folder + "/alerts.yml")
        try check("test", "rules", folder + "/alerts-test.yml")
    }

    /// Jobs of a model whose file is gone have ended, and no model has run them.
    @Test func jobsThatNoModelHasRunAreCountedToo() throws {
        let model = workspace.path("removed.gguf")
        try FileManager.default.copyItem(atPath: Locations.tinyModel, toPath: model)
        try enqueue("lost", [["prompt": "a"], ["prompt": "b"]], "--model", model)
        try FileManager.default.removeItem(atPath: model)
        let daemon = try daemon("daemon.max_model_errors=1")
        _ = try workspace.run("wait", "1")
        #expect(try page().sum("ttbatch_jobs_finished_total", ["error_code": "model_unavailable"]) == 2)
        daemon.send(SIGTERM)
        #expect(try daemon.waitForEnd().status == 0)
    }
}

/// A page, read as Prometheus reads it.
private struct ScrapedPage {
    private let samples: [(name: String, labels: [String: String], value: Double)]
    /// The names of its families; a counter's has `_total`.
    let names: Set<String>

    init(_ page: String) {
        let lines = page.split(separator: "\n")
        names = Set(
            lines.filter { $0.hasPrefix("# TYPE ") }.compactMap {
                $0.split(separator: " ").dropFirst(2).first.map(String.init)
            })
        samples = lines.filter { !$0.hasPrefix("#") }.compactMap { line in
            guard let match = line.wholeMatch(of: /([a-z0-9_:]+)(?:\{(.*)\})? ([^ ]+)/) else {
                Issue.record("no sample: \(line)")
                return nil
            }
            let labels = (match.2 ?? "").matches(of: /([a-z_]+)="((?:[^"\\]|\\.)*)"/)
            return (
                String(match.1), Dictionary(uniqueKeysWithValues: labels.map { (String($0.1), String($0.2)) }),
                Double(match.3 == "+Inf" ? "inf" : match.3) ?? .nan
            )
        }
    }

    /// The sum over the series of a name that have these labels.
    func sum(_ name: String, _ labels: [String: String] = [:]) -> Double {
        samples.filter { sample in sample.name == name && labels.allSatisfy { sample.labels[$0] == $1 } }
            .reduce(0) { $0 + $1.value }
    }
}
