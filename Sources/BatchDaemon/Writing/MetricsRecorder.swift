// Adds up what the replicas' engines and the writer did, and gives it as one row an interval.

import JobStore
import TTEngine
import TTPlatform

/// The running interval of metrics.
struct MetricsRecorder {
    private let incarnation: Incarnation
    private var interval: MetricsInterval
    private var kvBlocksSum = 0.0
    private var steps = 0.0
    /// By replica.
    private var seen: [Replica: EngineStatistics] = [:]
    /// KV blocks in use by each replica that ran a step in the interval.
    private var kvBlocksUsed: [Replica: Int] = [:]

    init(incarnation: Incarnation, start: Milliseconds) {
        self.incarnation = incarnation
        interval = MetricsInterval(incarnation: incarnation, start: start, end: start)
    }

    /// Nothing has happened in the interval.
    var isIdle: Bool { steps == 0 && interval.jobsSucceeded == 0 && interval.jobsFailed == 0 }

    /// Counts a step by the difference of its engine's counters.
    mutating func count(_ step: TimedStep, of replica: Replica) {
        let statistics = step.statistics
        let seen = seen[replica]
        interval.promptTokens += Int64(statistics.prefilledTokens - (seen?.prefilledTokens ?? 0))
        interval.cachedTokens += Int64(statistics.cachedTokens - (seen?.cachedTokens ?? 0))
        interval.generatedTokens += Int64(statistics.generatedTokens - (seen?.generatedTokens ?? 0))
        interval.prefillSteps += Int64(statistics.prefillSteps - (seen?.prefillSteps ?? 0))
        interval.decodeSteps += Int64(statistics.decodeSteps - (seen?.decodeSteps ?? 0))
        interval.decodeRows += Int64(statistics.decodedRows - (seen?.decodedRows ?? 0))
        interval.preemptions += Int64(statistics.preemptions - (seen?.preemptions ?? 0))
        interval.slots = Int64(statistics.slots)
        // All replicas have pools of the same size.
        interval.kvBlocksTotal = Int64(statistics.kvBlocksTotal * replica.count)
        kvBlocksUsed[replica] = statistics.kvBlocksUsed
        let used = kvBlocksUsed.values.reduce(0, +)
        interval.kvBlocksMax = max(interval.kvBlocksMax, Int64(used))
        kvBlocksSum += Double(used)
        steps += 1
        self.seen[replica] = statistics
    }

    mutating func count(finished: JobCompletion) {
        if case .succeeded = finished.outcome { interval.jobsSucceeded += 1 } else { interval.jobsFailed += 1 }
    }

    /// Ends the interval at `now` and begins the next; `nil` for one in which nothing happened.
    mutating func close(at now: Milliseconds, queueDepth: Int64) -> MetricsInterval? {
        var closed = interval
        closed.end = max(now, interval.start)
        closed.queueDepth = queueDepth
        closed.kvBlocksMean = steps > 0 ? kvBlocksSum / steps : 0
        let wasIdle = isIdle
        interval = MetricsInterval(incarnation: incarnation, start: now, end: now)
        (kvBlocksSum, steps, kvBlocksUsed) = (0, 0, [:])
        return wasIdle ? nil : closed
    }
}
