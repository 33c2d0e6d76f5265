// What an engine did, in the program's metrics: some atomic additions after each step, on the engine's thread.

import CoreMetrics
import Engine
import ModelFiles
import Platform

/// Counts the work of a replica's engine. The engine's thread uses it.
package final class EngineMetrics {
    private let prompt: Counter
    private let generated: Counter
    private let lookedUp: Counter
    private let cached: Counter
    private let prefillSteps: Counter
    private let decodeSteps: Counter
    private let decodedRows: Counter
    private let preemptions: Counter
    private let running: Meter
    private let waiting: Meter
    private let used: Meter
    /// States that go with the model.
    private var gauges: [Meter]
    private let total: Meter
    private var seen: EngineStatistics

    /// Metrics of an engine that has done nothing yet.
    ///
    /// - Parameters:
    ///   - device: where it runs.
    ///   - blockTokens: how many tokens a KV block holds.
    init(
        _ statistics: EngineStatistics, of model: String, _ replica: Replica, on device: any MeshDevice,
        blockTokens: Int
    ) {
        let own = [("model", ModelCatalogue.shown(model)), ("replica", "\(replica.index)")]
        func counter(_ name: String, _ more: [(String, String)] = []) -> Counter {
            Counter(label: "ttbatch_engine_\(name)_total", dimensions: own + more)
        }
        func gauge(_ name: String, _ more: [(String, String)] = []) -> Meter {
            Meter(label: "ttbatch_engine_" + name, dimensions: own + more)
        }
        prompt = counter("prompt_tokens")
        generated = counter("generation_tokens")
        lookedUp = counter("prefix_cache_query_tokens")
        cached = counter("prefix_cache_hit_tokens")
        prefillSteps = counter("steps", [("kind", "prefill")])
        decodeSteps = counter("steps", [("kind", "decode")])
        decodedRows = counter("decode_rows")
        preemptions = counter("preemptions")
        running = gauge("rows_running")
        waiting = gauge("requests_waiting")
        used = gauge("kv_blocks", [("state", "used")])
        total = gauge("kv_blocks", [("state", "total")])
        let (slots, block) = (gauge("slots"), gauge("kv_block_tokens"))
        let info = Meter(
            label: "ttbatch_device_info",
            dimensions: [
                ("replica", "\(replica.index)"), ("device", device.platform.name), ("summary", device.summary),
            ])
        slots.set(statistics.slots)
        block.set(blockTokens)
        info.set(1)
        gauges = [running, waiting, used, total, slots, block, info]
        seen = statistics
        note(statistics)
    }

    /// Counts what the engine has done since the last call, and shows its state.
    func note(_ now: EngineStatistics) {
        prompt.increment(by: now.prefilledTokens - seen.prefilledTokens)
        generated.increment(by: now.generatedTokens - seen.generatedTokens)
        cached.increment(by: now.cachedTokens - seen.cachedTokens)
        lookedUp.increment(by: now.prefilledTokens + now.cachedTokens - seen.prefilledTokens - seen.cachedTokens)
        prefillSteps.increment(by: now.prefillSteps - seen.prefillSteps)
        decodeSteps.increment(by: now.decodeSteps - seen.decodeSteps)
        decodedRows.increment(by: now.decodedRows - seen.decodedRows)
        preemptions.increment(by: now.preemptions - seen.preemptions)
        running.set(now.running)
        waiting.set(now.waiting)
        used.set(now.kvBlocksUsed)
        total.set(now.kvBlocksTotal)
        seen = now
    }

    /// The model is unloaded: what was counted stays, and it has no state any more.
    func close() {
        for gauge in gauges { gauge.destroy() }
        gauges = []
    }
}

extension Counter {
    /// Faults of devices, in steps and while they are opened.
    static var deviceFailures: Counter { Counter(label: "ttbatch_device_failures_total") }
}
