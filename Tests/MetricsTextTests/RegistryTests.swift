// Series behind swift-metrics: exact under many threads, one for each set of labels.

import CoreMetrics
import Dispatch
import MetricsText
import Testing

@Suite("Metrics registry")
struct RegistryTests {
    private let registry = MetricsRegistry()

    private func family(_ name: String) -> MetricSamples? { registry.samples().first { $0.name == name } }

    private func value(_ name: String, _ labels: [MetricLabel] = []) -> MetricValue? {
        family(name)?.samples.first { $0.labels == labels }?.value
    }

    @Test func countersOfManyThreadsAreExact() {
        let registry = registry
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for number in 0..<10_000 {
                // As those do who count seldom: without keeping the counter.
                Counter(
                    label: "ttbatch_engine_steps_total", dimensions: [("kind", number % 2 == 0 ? "prefill" : "decode")],
                    factory: registry
                ).increment()
            }
        }
        #expect(value("ttbatch_engine_steps_total", [MetricLabel("kind", "prefill")]) == .number(40_000))
        #expect(value("ttbatch_engine_steps_total", [MetricLabel("kind", "decode")]) == .number(40_000))
    }

    @Test func histogramsOfManyThreadsAreExact() throws {
        let recorder = Recorder(label: "ttbatch_job_prompt_tokens", factory: registry)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for number in 0..<10_000 { recorder.record(number) }
        }
        guard case .histogram(let bounds, let counts, let sum)? = value("ttbatch_job_prompt_tokens") else {
            Issue.record("no histogram")
            return
        }
        #expect(sum == 8 * 10_000 * 9_999 / 2)
        var previous = -1.0
        for (bound, count) in zip(bounds, counts) {
            // Whole numbers above the bound before, up to this one.
            let expected = (0..<10_000).count { Double($0) > previous && Double($0) <= bound }
            #expect(count == Int64(8 * expected), "up to \(bound)")
            previous = bound
        }
        #expect(counts.last == 0 && counts.reduce(0, +) == 80_000)
    }

    @Test func timersAreInSeconds() {
        let timer = CoreMetrics.Timer(label: "ttbatch_store_commit_seconds", factory: registry)
        timer.recordMilliseconds(25)
        timer.recordSeconds(1000)
        guard case .histogram(let bounds, let counts, let sum)? = value("ttbatch_store_commit_seconds") else {
            Issue.record("no histogram")
            return
        }
        #expect(abs(sum - 1000.025) < 1e-9)
        #expect(counts[bounds.firstIndex(of: 0.025)!] == 1 && counts.last == 1 && counts.reduce(0, +) == 2)
    }

    @Test func whatIsNoNumberIsNotRecorded() {
        let recorder = Recorder(label: "ttbatch_job_prompt_tokens", factory: registry)
        for value in [Double.nan, .infinity, -.infinity] { recorder.record(value) }
        recorder.record(-1.0)
        guard case .histogram(_, let counts, let sum)? = value("ttbatch_job_prompt_tokens") else {
            Issue.record("no histogram")
            return
        }
        #expect(counts.first == 1 && counts.reduce(0, +) == 1 && sum == -1)
    }

    @Test func gaugesAreTheLastValueAndCanBeTakenAway() {
        let labels = [("status", "completed")]
        let gauge = Meter(label: "ttbatch_batches", dimensions: labels, factory: registry)
        gauge.set(7)
        Meter(label: "ttbatch_batches", dimensions: labels, factory: registry).set(2.5)
        let status = MetricLabel("status", "completed")
        #expect(family("ttbatch_batches")?.samples == [MetricSample([status], .number(2.5))])
        gauge.destroy()
        #expect(family("ttbatch_batches") == nil)
        gauge.destroy()
    }

    /// A name that is not in the table, or is of another kind there, is not kept, and does no harm.
    @Test func otherFamiliesAreNotKept() {
        Counter(label: "hb_requests", factory: registry).increment()
        Counter(label: "ttbatch_batches", factory: registry).increment()
        Meter(label: "ttbatch_job_prompt_tokens", factory: registry).set(1)
        Recorder(label: "ttbatch_engine_steps_total", factory: registry).record(1)
        CoreMetrics.Timer(label: "ttbatch_batches", factory: registry).recordSeconds(1)
        #expect(registry.samples().isEmpty)
    }

    @Test func familiesAreInOrder() {
        for family in MetricFamily.all.reversed() where family.kind == .counter {
            Counter(label: family.name, factory: registry).increment()
        }
        #expect(registry.samples().map(\.name) == MetricFamily.all.filter { $0.kind == .counter }.map(\.name))
    }
}

@Suite("Metric families")
struct MetricFamilyTests {
    /// The conventions of Prometheus, which its linter checks too.
    @Test func namesAreThoseOfPrometheus() {
        #expect(Set(MetricFamily.all.map(\.name)).count == MetricFamily.all.count)
        for family in MetricFamily.all {
            #expect(family.name.wholeMatch(of: /ttbatch(_[a-z]+)+/) != nil, "\(family.name)")
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            #expect(family.help.hasSuffix("."), "\(family.name)")
            #expect(family.labels.allSatisfy { $0 != "le" && $0.wholeMatch(of: /[a-z_]+/) != nil }, "\(family.name)")
            if case .histogram(let bounds) = family.kind {
                #expect(bounds == Set(bounds).sorted(), "\(family.name)")
            }
        }
    }
}
