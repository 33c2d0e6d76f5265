// vLLM's families, computed from the daemon's.

import CoreMetrics
import MetricsText
import Testing

@Suite("vLLM's names")
struct VLLMNamesTests {
    private let registry = MetricsRegistry()

    private func value(_ name: String, _ labels: [(String, String)]) -> MetricValue? {
        VLLMNames.families(for: registry.samples()).first { $0.name == "vllm:" + name }?.samples
            .first { $0.labels == labels.map { MetricLabel($0.0, $0.1) } }?.value
    }

    private static let model = [("model_name", "m"), ("engine", "0")]

    @Test func whatEndedIsAddedUpByReason() {
        func count(_ family: String, _ labels: [(String, String)], _ times: Int) {
            Counter(label: family, dimensions: labels + [("model", "m")], factory: registry).increment(by: times)
        }
        let (jobs, online) = ("ttbatch_jobs_finished_total", "ttbatch_online_requests_total")
        count(jobs, [("result", "succeeded"), ("finish_reason", "stop")], 1)
        count(jobs, [("result", "succeeded"), ("finish_reason", "tool_calls")], 2)
        count(jobs, [("result", "succeeded"), ("finish_reason", "length")], 4)
        count(online, [("result", "succeeded"), ("finish_reason", "length")], 8)
        count(jobs, [("result", "failed"), ("error_code", "bad_output")], 16)
        count(online, [("result", "failed"), ("error_code", "no_token_allowed")], 32)
        count(online, [("result", "cancelled")], 64)
        for (reason, sum) in [("stop", 3.0), ("length", 12), ("error", 48), ("abort", 64)] {
            #expect(value("request_success_total", Self.model + [("finished_reason", reason)]) == .number(sum))
        }
    }

    @Test func histogramsOfBatchesAndOnlineRequestsAreOne() {
        for (source, seconds) in [("batch", 1000), ("online", 1)] {
            CoreMetrics.Timer(
                label: "ttbatch_job_total_seconds", dimensions: [("model", "m"), ("source", source)], factory: registry
            ).recordSeconds(seconds)
        }
        guard case .histogram(_, let counts, let sum)? = value("e2e_request_latency_seconds", Self.model) else {
            Issue.record("no histogram")
            return
        }
        #expect(sum == 1001 && counts.reduce(0, +) == 2)
    }

    @Test func theCacheIsAShareAndASize() {
        func gauge(_ name: String, _ labels: [(String, String)], _ value: Int) {
            let own = [("model", "m"), ("replica", "1")]
            Meter(label: "ttbatch_engine_" + name, dimensions: own + labels, factory: registry).set(value)
        }
        gauge("kv_blocks", [("state", "used")], 25)
        gauge("kv_blocks", [("state", "total")], 100)
        gauge("kv_block_tokens", [], 32)
        let labels = [("model_name", "m"), ("engine", "1")]
        #expect(value("kv_cache_usage_perc", labels) == .number(0.25))
        #expect(value("cache_config_info", labels + [("block_size", "32"), ("num_gpu_blocks", "100")]) == .number(1))
    }

    @Test func thereIsNothingBeforeAModelIsLoaded() {
        #expect(VLLMNames.families(for: registry.samples()).isEmpty)
    }
}
