// The page in both formats, against what Prometheus' documents show.

import MetricsText
import Testing

@Suite("Metrics page")
struct MetricsPageTests {
    private static let families = [
        MetricSamples(
            "ttbatch_jobs_finished_total", .counter, "Jobs \"done\" in C:\\\nall.",
            [
                MetricSample(
                    [MetricLabel("result", "failed"), MetricLabel("error_code", "a\"b\\c\nd\r\n")], .number(3)),
                MetricSample([MetricLabel("result", "ok")], .number(9_007_199_254_740_991)),
            ]),
        MetricSamples(
            "ttbatch_x", .gauge, "Numbers.",
            [0.5, -2, .nan, .infinity, -.infinity, 1e300].map { MetricSample([], .number($0)) }),
        MetricSamples(
            "ttbatch_s_seconds", .histogram, "Times.",
            [
                MetricSample(
                    [MetricLabel("model", "m")], .histogram(bounds: [0.005, 1, 7680], counts: [1, 0, 2, 4], sum: 9.25))
            ]),
        MetricSamples("ttbatch_none", .gauge, "Nothing.", []),
    ]

    @Test func prometheus() {
        #expect(
            MetricsFormat.prometheus.page(Self.families) == #"""
                # HELP ttbatch_jobs_finished_total Jobs "done" in C:\\\nall.
                # TYPE ttbatch_jobs_finished_total counter
                ttbatch_jobs_finished_total{result="failed",error_code="a\"b\\c\nd\#r\n"} 3
                ttbatch_jobs_finished_total{result="ok"} 9007199254740991
                # HELP ttbatch_x Numbers.
                # TYPE ttbatch_x gauge
                ttbatch_x 0.5
                ttbatch_x -2
                ttbatch_x NaN
                ttbatch_x +Inf
                ttbatch_x -Inf
                ttbatch_x 1e+300
                # HELP ttbatch_s_seconds Times.
                # TYPE ttbatch_s_seconds histogram
                ttbatch_s_seconds_bucket{model="m",le="0.005"} 1
                ttbatch_s_seconds_bucket{model="m",le="1.0"} 1
                ttbatch_s_seconds_bucket{model="m",le="7680.0"} 3
                ttbatch_s_seconds_bucket{model="m",le="+Inf"} 7
                ttbatch_s_seconds_sum{model="m"} 9.25
                ttbatch_s_seconds_count{model="m"} 7

                """#)
    }

    @Test func openMetrics() {
        let lines = MetricsFormat.openMetrics.page(Self.families).split(separator: "\n")
        #expect(lines[0] == #"# HELP ttbatch_jobs_finished Jobs \"done\" in C:\\\nall."#)
        #expect(lines[1] == "# TYPE ttbatch_jobs_finished counter")
        #expect(lines[3].hasPrefix(#"ttbatch_jobs_finished_total{result="ok"} "#))
        #expect(lines.last == "# EOF")
        #expect(MetricsFormat.openMetrics.page([]) == "# EOF\n")
    }

    @Test(arguments: [
        (nil, MetricsFormat.prometheus), ("", .prometheus), ("*/*", .prometheus), ("text/html", .prometheus),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics),
        ("application/openmetrics-text", .openMetrics), ("Application/OpenMetrics-Text;q=0.2", .openMetrics),
        ("application/openmetrics-text;version=0.0.1", .prometheus),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9", .prometheus),
        ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; version=1.0.0; q=0.75", .openMetrics),
        ("application/openmetrics-text;q=0", .prometheus),
        // Prometheus 2.42 and 3.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics
        ),
    ])
    func formatsAreThoseThatAreAskedFor(accept: String?, format: MetricsFormat) {
        #expect(MetricsFormat(accept: accept) == format)
    }
}
