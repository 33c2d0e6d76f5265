// The daemon's metrics under vLLM's names, for dashboards, routers and autoscalers that were made for vLLM.
//
// Source: the families that vLLM's v1 engine logs, and its reference dashboard. The names have the colon that Prometheus keeps for
// rules; that is how their readers know them.

/// vLLM's families, computed from the daemon's.
package struct VLLMNames {
    private let own: [String: MetricSamples]

    /// vLLM's families for the daemon's ones.
    package static func families(for own: [MetricSamples]) -> [MetricSamples] {
        let names = VLLMNames(own: Dictionary(uniqueKeysWithValues: own.map { ($0.name, $0) }))
        return (plain.map { names.family($0) } + [names.successes, names.cacheUse, names.cacheConfiguration])
            .filter { !$0.samples.isEmpty }
    }

    /// A family of vLLM's that is one of the daemon's, whose samples with other labels are added up.
    private struct Plain {
        let name: String
        let kind: MetricSamples.Kind
        let source: String
        let help: String
    }

    private static let plain = [
        Plain(
            name: "prompt_tokens_total", kind: .counter, source: "ttbatch_engine_prefix_cache_query_tokens_total",
            help: "Tokens of prompts, cached ones too."),
        Plain(
            name: "generation_tokens_total", kind: .counter, source: "ttbatch_engine_generation_tokens_total",
            help: "Tokens generated."),
        Plain(
            name: "prefix_cache_queries_total", kind: .counter,
            source: "ttbatch_engine_prefix_cache_query_tokens_total", help: "Tokens looked up in the prefix cache."),
        Plain(
            name: "prefix_cache_hits_total", kind: .counter, source: "ttbatch_engine_prefix_cache_hit_tokens_total",
            help: "Tokens found in the prefix cache."),
        Plain(
            name: "num_preemptions_total", kind: .counter, source: "ttbatch_engine_preemptions_total",
            help: "Preemptions."),
        Plain(
            name: "num_requests_running", kind: .gauge, source: "ttbatch_engine_rows_running",
            help: "Requests in the device batch."),
        Plain(
            name: "num_requests_waiting", kind: .gauge, source: "ttbatch_engine_requests_waiting",
            help: "Requests that the engine has and that wait."),
        Plain(
            name: "e2e_request_latency_seconds", kind: .histogram, source: "ttbatch_job_total_seconds",
            help: "From the arrival to the end."),
        Plain(
            name: "request_queue_time_seconds", kind: .histogram, source: "ttbatch_job_queued_seconds",
            help: "From the arrival to the first prefill."),
        Plain(
            name: "request_prefill_time_seconds", kind: .histogram, source: "ttbatch_job_prefill_seconds",
            help: "Time in prefill steps."),
        Plain(
            name: "request_decode_time_seconds", kind: .histogram, source: "ttbatch_job_decode_seconds",
            help: "From the first token to the last."),
        Plain(
            name: "time_to_first_token_seconds", kind: .histogram, source: "ttbatch_time_to_first_token_seconds",
            help: "From the submission to the first token."),
        Plain(
            name: "inter_token_latency_seconds", kind: .histogram, source: "ttbatch_inter_token_seconds",
            help: "Between two tokens."),
        Plain(
            name: "request_prompt_tokens", kind: .histogram, source: "ttbatch_job_prompt_tokens",
            help: "Tokens of a request's prompts."),
        Plain(
            name: "request_generation_tokens", kind: .histogram, source: "ttbatch_job_generated_tokens",
            help: "Tokens that a request has generated."),
        Plain(
            name: "request_max_num_generation_tokens", kind: .histogram, source: "ttbatch_job_generated_tokens",
            help: "Tokens that a request has generated; of several choices their sum."),
    ]

    private func family(_ plain: Plain) -> MetricSamples {
        MetricSamples("vllm:" + plain.name, plain.kind, plain.help, sums(of: plain.source) { _ in [] })
    }

    /// Jobs and online requests by the reason of their end, in vLLM's words.
    private var successes: MetricSamples {
        let samples = ["ttbatch_jobs_finished_total", "ttbatch_online_requests_total"].flatMap { source in
            sums(of: source) { sample in
                let reason =
                    switch sample.label("result") {
                    case "succeeded": sample.label("finish_reason") == "length" ? "length" : "stop"
                    case "failed": "error"
                    default: "abort"
                    }
                return [MetricLabel("finished_reason", reason)]
            }
        }
        return MetricSamples(
            "vllm:request_success_total", .counter, "Requests that ended, by reason.", Self.added(samples))
    }

    private var cacheUse: MetricSamples {
        let blocks = blocks
        let samples = blocks.map { labels, blocks in
            MetricSample(labels, .number(blocks.total > 0 ? blocks.used / blocks.total : 0))
        }
        return MetricSamples("vllm:kv_cache_usage_perc", .gauge, "Share of the KV blocks in use, 0 to 1.", samples)
    }

    private var cacheConfiguration: MetricSamples {
        let sizes = sums(of: "ttbatch_engine_kv_block_tokens") { _ in [] }
        let samples = blocks.compactMap { labels, blocks -> MetricSample? in
            guard case .number(let size)? = sizes.first(where: { $0.labels == labels })?.value else { return nil }
            return MetricSample(
                labels + [
                    MetricLabel("block_size", "\(Int(size))"), MetricLabel("num_gpu_blocks", "\(Int(blocks.total))"),
                ], .number(1))
        }
        return MetricSamples("vllm:cache_config_info", .gauge, "The KV cache; the value is always 1.", samples)
    }

    private var blocks: [(labels: [MetricLabel], (used: Double, total: Double))] {
        var blocks: [[MetricLabel]: (used: Double, total: Double)] = [:]
        for sample in own["ttbatch_engine_kv_blocks"]?.samples ?? [] {
            guard case .number(let value) = sample.value else { continue }
            let labels = Self.labels(of: sample)
            if sample.label("state") == "used" {
                blocks[labels, default: (0, 0)].used += value
            } else {
                blocks[labels, default: (0, 0)].total += value
            }
        }
        return blocks.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    /// The samples of a family under vLLM's labels, and those of `more`.
    private func sums(of family: String, _ more: (MetricSample) -> [MetricLabel]) -> [MetricSample] {
        let samples = own[family]?.samples ?? []
        return Self.added(samples.map { MetricSample(Self.labels(of: $0) + more($0), $0.value) })
    }

    /// Samples with the same labels as one.
    private static func added(_ samples: [MetricSample]) -> [MetricSample] {
        var sums: [[MetricLabel]: MetricValue] = [:]
        for sample in samples { sums[sample.labels] = sums[sample.labels].map { $0 + sample.value } ?? sample.value }
        return sums.map { MetricSample($0.key, $0.value) }
            .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
    }

    /// vLLM has an engine where the daemon has a replica.
    private static func labels(of sample: MetricSample) -> [MetricLabel] {
        [
            MetricLabel("model_name", sample.label("model") ?? ""),
            MetricLabel("engine", sample.label("replica") ?? "0"),
        ]
    }
}
