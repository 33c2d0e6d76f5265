// The progress of the batches in flight, measured about once a second from the writer's records.

import Platform
import Prompts
import Runtime
import Serving
import StoreContract

/// Counts the tokens that batches have generated while their jobs are in flight, and their recent rate.
struct ProgressMeter {
    /// The interval between measurements.
    static let intervalMS: Int64 = 1000
    /// The time from a batch's first job to its first measurement.
    static let firstMS: Int64 = 200
    /// The window of the rate: long enough to average over steps, short enough to show changes.
    private static let windowMS: Int64 = 30_000
    /// The shortest time for which a rate is computed.
    private static let shortestMS: Int64 = 500

    private struct Sample {
        var steady: Int64
        /// Tokens generated so far.
        var tokens: Int64
        /// Mean length of the texts in batch slots, in tokens.
        var meanLength: Double
    }

    /// The jobs of a batch in flight.
    fileprivate struct InFlight {
        var generated: Int64 = 0
        var uncommitted: Int64 = 0
        var running: Int64 = 0
        var runningTokens: Int64 = 0
        var runningLimit: Int64 = 0
    }

    /// Tokens of attempts that have ended, while their batch has other jobs in flight.
    private var over: [BatchID: Int64] = [:]
    /// Samples, oldest first; a batch's first sample is from the arrival of its first job, without tokens.
    private var samples: [BatchID: [Sample]] = [:]

    /// Records the arrival of a job at time `steady`.
    mutating func noteBegin(_ batch: BatchID, steady: Int64) {
        if samples[batch] == nil { samples[batch] = [Sample(steady: steady, tokens: 0, meanLength: 0)] }
    }

    /// Records the end of an attempt that had generated `tokens` tokens.
    mutating func noteEnd(_ batch: BatchID, tokens: Int) {
        over[batch, default: 0] += Int64(tokens)
    }

    /// The progress of the batches with jobs in flight.
    ///
    /// - Parameter uncommitted: completions that are not stored yet.
    mutating func measure(
        _ jobs: some Sequence<JobInProgress>, uncommitted: [JobCompletion], steady: Int64, now: Milliseconds
    ) -> [BatchProgress] {
        var batches: [BatchID: InFlight] = [:]
        for completion in uncommitted {
            batches[completion.ticket.batch, default: InFlight()].uncommitted += Int64(
                completion.usage.completionTokens)
        }
        for job in jobs { batches[job.ticket.batch, default: InFlight()].count(job) }
        samples = samples.filter { batches[$0.key] != nil }
        over = over.filter { batches[$0.key] != nil }
        return batches.sorted { $0.key < $1.key }.map { batch, inFlight in
            BatchProgress(
                batch: batch, updated: now, unfinishedTokens: inFlight.generated + inFlight.uncommitted,
                pace: pace(
                    of: batch,
                    Sample(
                        steady: steady, tokens: inFlight.generated + over[batch, default: 0],
                        meanLength: Double(inFlight.runningTokens) / Double(max(1, inFlight.running)))),
                running: inFlight.running, runningTokens: inFlight.runningTokens, runningLimit: inFlight.runningLimit)
        }
    }

    private mutating func pace(of batch: BatchID, _ newest: Sample) -> BatchProgress.Pace? {
        var window = samples[batch, default: []]
        // One sample older than the window stays, so that the window is covered.
        while window.count > 1, window[1].steady <= newest.steady - Self.windowMS { window.removeFirst() }
        window.append(newest)
        samples[batch] = window
        let elapsed = newest.steady - window[0].steady
        guard elapsed >= Self.shortestMS else { return nil }
        let tokens = Double(newest.tokens - window[0].tokens)
        let mean = Double(elapsed) / max(tokens, 1)
        let line = Self.line(through: window)
        return BatchProgress.Pace(
            tokensPerSecond: tokens * 1000 / Double(elapsed),
            tokenMS: line.map { max($0.at(newest.meanLength), mean / 3) } ?? mean, tokenMSGrowth: line?.slope ?? 0)
    }

    /// The milliseconds per token as a function of the mean length of the texts in batch slots: a least-squares line
    /// through the measurements between samples. Nil if the texts' lengths hardly changed, or no tokens arrived for a
    /// long time.
    private static func line(through samples: [Sample]) -> (slope: Double, at: (Double) -> Double)? {
        var points: [(length: Double, milliseconds: Double)] = []
        for (before, after) in zip(samples, samples.dropFirst()) {
            let tokens = after.tokens - before.tokens
            guard tokens > 0 else { return nil }
            points.append(
                ((before.meanLength + after.meanLength) / 2, Double(after.steady - before.steady) / Double(tokens)))
        }
        guard points.count >= 3, let shortest = points.map(\.length).min(), let longest = points.map(\.length).max(),
            longest - shortest >= longest / 4
        else { return nil }
        let count = Double(points.count)
        let length = points.reduce(0) { $0 + $1.length } / count
        let milliseconds = points.reduce(0) { $0 + $1.milliseconds } / count
        let spread = points.reduce(0) { $0 + ($1.length - length) * ($1.length - length) }
        let slope = points.reduce(0) { $0 + ($1.length - length) * ($1.milliseconds - milliseconds) } / spread
        // Longer texts cannot make a token cheaper.
        guard slope > 0 else { return nil }
        return (slope, { milliseconds + slope * ($0 - length) })
    }
}

extension ProgressMeter.InFlight {
    fileprivate mutating func count(_ job: JobInProgress) {
        let tokens = Int64(job.progress.tokenCount)
        generated += tokens
        guard job.progress.isRunning else { return }
        running += 1
        runningTokens += tokens
        runningLimit += max(tokens, Int64(job.progress.request.maxTokens))
    }
}

/// Writes the progress of the batches in flight to the store about once a second. No job depends on it, so a failed
/// write is not retried.
struct ProgressReporter {
    /// Measures the jobs in flight.
    var meter = ProgressMeter()
    /// When to report next, by the steady clock; nil while no job is in flight and none was reported.
    private(set) var due: Int64?

    /// Reports if it is due.
    ///
    /// - Parameter uncommitted: completions that are not stored yet.
    mutating func report(
        _ jobs: some Collection<JobInProgress>, uncommitted: [JobCompletion], to queue: WorkQueue
    ) {
        let steady = queue.clock.steady
        if due == nil, !jobs.isEmpty { due = steady + ProgressMeter.firstMS }
        guard let due, due <= steady else { return }
        let measured = meter.measure(jobs, uncommitted: uncommitted, steady: steady, now: queue.clock.now)
        self.due = measured.isEmpty ? nil : steady + ProgressMeter.intervalMS
        try? queue.store.record(measured, incarnation: queue.incarnation)
    }
}
