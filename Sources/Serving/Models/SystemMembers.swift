// What of a loaded model decides about its results: its files, its settings, and what it runs on.

import ModelFiles
import Platform
import Worker

/// Everything besides a request and this program's version that decides about the request's tokens.
struct SystemMembers: Sendable {
    private let settings: [String: String]
    private let digest: ModelDigest

    /// What is known once a replica is open. Settings of the engine that change no result are left out.
    init(_ options: ModelOptions, _ defaults: SamplingDefaults, _ digest: ModelDigest, on replica: EngineThread) {
        self.digest = digest
        var settings = replica.arithmetic
        settings["max_model_len"] = "\(replica.limits.maxModelLen)"
        settings["quantize"] = options.quantize?.rawValue
        settings["template"] = options.templatePath
        settings["tool_calls"] = options.toolCalls?.rawValue
        settings["reasoning"] = options.reasoning?.rawValue
        settings["tokenizer.pre"] = options.preTokenizer
        settings["defaults.temperature"] = defaults.temperature.map { "\($0)" }
        settings["defaults.top_p"] = defaults.topP.map { "\($0)" }
        settings["defaults.top_k"] = defaults.topK.map { "\($0)" }
        settings["defaults.min_p"] = defaults.minP.map { "\($0)" }
        settings["defaults.repetition_penalty"] = defaults.repetitionPenalty.map { "\($0)" }
        settings["defaults.max_tokens"] = defaults.maxTokens.map { "\($0)" }
        self.settings = settings
    }

    /// The values by what they are of. Waits until the model's files have been read.
    var values: [String: String] {
        var values = settings
        let sums = digest.sha256
        for (file, sum) in sums { values[sums.count == 1 ? "sha256" : "sha256 \(file)"] = sum }
        return values
    }
}

extension CheckedConfiguration {
    /// The settings that change the bits of results on `device`. Tenstorrent's kernels depend on the shapes of steps.
    func arithmetic(on device: any MeshDevice) -> [String: String] {
        var settings = ["device": device.arithmetic, "block_size": "\(blockSize)"]
        settings["kv_cache_dtype"] = kvCacheDType?.rawValue
        settings["optimizations"] = tt.optimizations?.rawValue
        guard chipArchitecture != nil else { return settings }
        settings["max_num_seqs"] = "\(maxNumSeqs)"
        settings["sample_on_device_mode"] = tt.sampleOnDeviceMode.rawValue
        settings["trace_mode"] = tt.traceMode.rawValue
        return settings
    }
}
