// What of a loaded model decides about its results: its files, its settings, and what it runs on.

import ModelFiles
import Platform
import Worker

/// Everything besides a request and this program's version that decides about the request's tokens: values by what they
/// are of. Settings of the engine that change no result are left out.
///
/// - Parameters:
///   - sha256: of the model's files, by their names.
///   - replica: one of the replicas, which are alike.
func systemMembers(_ model: OpenedModel, sha256: [String: String], on replica: EngineThread) -> [String: String] {
    var members = replica.arithmetic
    for (file, sum) in sha256 { members[sha256.count == 1 ? "sha256" : "sha256 \(file)"] = sum }
    // The defaults are those that hold: the files' own, too.
    for setting in model.options.settings + model.defaults.settings(prefix: "defaults.") {
        members[setting.key] = setting.text
    }
    members["max_model_len"] = "\(replica.limits.maxModelLen)"
    return members
}

extension CheckedConfiguration {
    /// The settings that change the bits of results on `device`. Tenstorrent's kernels depend on the shapes of steps.
    func arithmetic(on device: any MeshDevice) -> [String: String] {
        var settings = ["device": device.arithmetic, "block_size": "\(blockSize)"]
        settings["kv_cache_dtype"] = kvCacheDType?.rawValue
        settings["optimizations"] = tt.optimizations?.rawValue
        guard chipArchitecture != nil else { return settings }
        settings["max_num_seqs"] = "\(maxNumSeqs)"
        settings["max_num_batched_tokens"] = "\(maxNumBatchedTokens)"
        settings["sample_on_device_mode"] = tt.sampleOnDeviceMode.rawValue
        settings["trace_mode"] = tt.traceMode.rawValue
        return settings
    }
}
