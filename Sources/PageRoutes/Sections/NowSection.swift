// What happens now: speed, slots, KV blocks, and when the queue will be empty.

import Runtime
import StoreContract

struct NowSection: Sendable, Hashable {
    /// A number with its name, and a bar if it is a part of something.
    struct Tile: Sendable, Hashable {
        let label: String
        let value: String
        var unit: String?
        var detail: String?
        /// Of 100; nil: no bar.
        var share: String?
    }

    let tiles: [Tile]

    /// Whether metrics are not too old to be called "now": there is a newer interval soon.
    private static func isFresh(_ metrics: MetricsInterval, _ now: Milliseconds) -> Bool {
        now - metrics.end < 5_000 + (metrics.end - metrics.start) * 3 / 2
    }

    /// - Parameter open: the open batches that are known; the newest ones.
    init(_ status: SystemStatus, open: [BatchSummary], replicas: Int, now: Milliseconds) {
        let fresh = open.filter { batch in batch.progress.map { now - $0.updated < 15_000 } ?? false }
        let speed = fresh.compactMap { $0.progress?.pace?.tokensPerSecond }.reduce(0, +)
        let running = fresh.reduce(0) { $0 + ($1.progress?.running ?? 0) }
        let metrics = status.latestMetrics.flatMap { Self.isFresh($0, now) ? $0 : nil }
        let seconds = metrics.map { Double($0.end - $0.start) / 1000 } ?? 0
        func perSecond(_ tokens: Int64) -> Double? { seconds > 0 ? Double(tokens) / seconds : nil }

        var tiles: [Tile] = []
        let generated = speed > 0 ? speed : metrics.flatMap { perSecond($0.generatedTokens) }
        tiles.append(
            Tile(
                label: "Generated", value: generated.map(PageWords.rate) ?? "–", unit: "tokens/s",
                detail: running > 0 && speed == 0 ? "measuring" : nil))
        tiles.append(
            Tile(
                label: "Prompts", value: metrics.flatMap { perSecond($0.promptTokens) }.map(PageWords.rate) ?? "–",
                unit: "tokens/s", detail: metrics.flatMap(Self.sharedWords)))
        let slots = (status.latestMetrics?.slots ?? 0) * Int64(max(1, replicas))
        tiles.append(
            Tile(
                label: "Slots", value: PageWords.count(running), unit: slots > 0 ? "of \(PageWords.count(slots))" : nil,
                share: slots > 0 ? Self.hundredths(Double(running) / Double(slots)) : nil))
        let blocks = metrics.flatMap { $0.kvBlocksTotal > 0 ? $0.kvBlocksMean / Double($0.kvBlocksTotal) : nil }
        tiles.append(
            Tile(
                label: "KV cache", value: blocks.map(PageWords.percent) ?? "–",
                detail: metrics.map {
                    "\(PageWords.count($0.kvBlocksMax)) of \(PageWords.count($0.kvBlocksTotal)) blocks at most"
                },
                share: blocks.map(Self.hundredths)))
        tiles.append(
            Tile(
                label: "Waiting", value: PageWords.count(max(0, status.pendingJobs)), unit: "jobs",
                detail: "in \(status.openBatches) open batch\(status.openBatches == 1 ? "" : "es")"))
        let rest = Self.restMS(status, open: open, now: now)
        tiles.append(
            Tile(
                label: "Queue ends in",
                value: status.openBatches == 0
                    ? "empty" : status.paused != nil ? "paused" : rest.map(PageWords.countdown) ?? "–",
                detail: status.paused == nil ? rest.map { "about \(ShownTime(now + $0, now: now).text)" } : nil))
        self.tiles = tiles
    }

    private static func sharedWords(_ metrics: MetricsInterval) -> String? {
        let all = metrics.promptTokens + metrics.cachedTokens
        return all > 0 ? "\(PageWords.percent(Double(metrics.cachedTokens) / Double(all))) from the cache" : nil
    }

    private static func hundredths(_ share: Double) -> String { "\(Int((min(max(share, 0), 1) * 100).rounded()))" }

    /// Milliseconds until all open batches end, if texts stay as long and the device as fast as now; nil while that is not
    /// known. Jobs of batches that have not begun are taken to be like those that have.
    static func restMS(_ status: SystemStatus, open: [BatchSummary], now: Milliseconds) -> Int64? {
        var (tokens, jobs, speed) = (0.0, Int64(0), 0.0)
        for batch in open {
            guard let progress = batch.progress, now - progress.updated < 15_000, let left = batch.expectation else {
                continue
            }
            tokens += left.tokens
            jobs += batch.counts.pending + batch.counts.running
            speed += progress.pace?.tokensPerSecond ?? 0
        }
        guard speed > 0, jobs > 0 else { return nil }
        let others = max(0, status.pendingJobs + status.runningJobs - jobs)
        let all = tokens * (1 + Double(others) / Double(jobs))
        let milliseconds = all / speed * 1000
        return milliseconds < 1e13 ? Int64(milliseconds) : nil
    }
}
