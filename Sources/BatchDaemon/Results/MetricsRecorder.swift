// Sums the work of the replicas' engines and of the writer in intervals; each interval becomes one row in the store.

import Engine
import Platform
import Runtime
import Serving
import Settings
import StoreContract

/// The running interval of metrics.
struct MetricsRecorder {
    private let incarnation: Incarnation
    private var interval: MetricsInterval
    private var kvBlocksSum = 0.0
    private var steps = 0.0
    /// The last statistics of each replica.
    private var seen: [Replica: EngineStatistics] = [:]
    /// KV blocks in use by each replica that ran a step in the interval.
    private var kvBlocksUsed: [Replica: Int] = [:]

    init(incarnation: Incarnation, start: Milliseconds) {
        self.incarnation = incarnation
        interval = MetricsInterval(incarnation: incarnation, start: start, end: start)
    }

    /// Whether no step ran and no job ended in the interval.
    var isIdle: Bool { steps == 0 && interval.jobsSucceeded == 0 && interval.jobsFailed == 0 }

    /// Counts a step by the difference of its engine's counters.
    mutating func count(_ step: EngineStep, of replica: Replica) {
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

    /// Ends the interval at `now` and begins the next; `nil` if the interval was idle.
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

/// Metrics that are not in the store yet: the running interval, and ended ones.
struct MetricsJournal {
    /// The running interval.
    var recorder: MetricsRecorder
    /// When it ends, by the steady clock.
    private(set) var due: Int64
    private var intervals: [MetricsInterval] = []
    private let lengthMS: Int64
    private let clock: TimeSource

    init(_ incarnation: Incarnation, _ settings: DaemonSettings, _ clock: TimeSource) {
        recorder = MetricsRecorder(incarnation: incarnation, start: clock.now)
        lengthMS = settings.metricsIntervalMS
        self.clock = clock
        due = clock.steady + lengthMS
    }

    /// Whether there are metrics that have not been written.
    var hasUnwritten: Bool { !intervals.isEmpty || !recorder.isIdle }

    /// Ends the interval if it is over or the session is ending, and writes all ended intervals.
    mutating func write(to store: any JobStore, isEnding: Bool) throws(JobStoreError) {
        if isEnding || due <= clock.steady {
            let depth = recorder.isIdle ? 0 : try store.systemStatus().pendingJobs
            if let interval = recorder.close(at: clock.now, queueDepth: depth) { intervals.append(interval) }
            due = clock.steady + lengthMS
        }
        while let interval = intervals.first {
            try store.record(interval)
            intervals.removeFirst()
        }
    }
}
