// An inspected model as JSON. The keys are documented in docs/json.md.

import HostDevice
import JSONText
import ModelFiles
import Platform

/// The object of `ttbatch models inspect --json`. What is not known is null.
struct InspectionObject {
    let model: InspectedModel
    let memory: InspectedMemory?
    let speed: InspectedSpeed?

    var json: JSONValue {
        let config = model.bundle?.config
        let description = model.check?.description
        let weights = model.bundle?.weights
        func number(_ value: Int?) -> JSONValue { value.map { .int(Int64($0)) } ?? .null }
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        return [
            "name": .string(model.entry.name), "path": .string(model.entry.path), "settings": model.entry.options.json,
            "runs": .bool(model.refusals.isEmpty), "unsupported": .array(model.refusals.map { .string($0) }),
            "no_chats": text(model.chatRefusal), "warnings": .array(model.warnings.map { .string($0) }),
            "files": .array(
                (weights?.fileSizes ?? []).map { ["path": .string($0.path), "bytes": .int(Int64($0.bytes))] }),
            "architecture": text(model.bundle?.architecture), "family": text(model.bundle?.family),
            "architectures": .array((config?.architectures ?? []).map { .string($0) }),
            "parameters": number(config?.parameterCount), "active_parameters": number(config?.parameterCount),
            "weights": .array((weights?.typeShares ?? []).map(object)),
            "context_length": number(config?.contextLength), "layers": number(config?.layerCount),
            "hidden_size": number(config?.hiddenSize), "vocabulary_size": number(config?.vocabularySize),
            "attention_heads": number(config?.attentionHeadCount), "key_value_heads": number(config?.keyValueHeadCount),
            "head_size": number(config?.headSize), "window": text(description?.windowWords),
            "rope": text(description?.ropeWords), "norms": text(weights.flatMap { description?.normWords($0) }),
            "feed_forward": text(weights.flatMap { description?.feedForwardWords($0) }),
            "tokenizer": text(model.tokenizerKind), "chat_template_bytes": number(model.chatTemplateBytes),
            "sampling": model.bundle?.samplingDefaults.json ?? .null,
            "memory": memory.map(object) ?? .null, "speed": speed.map(object) ?? .null,
        ]
    }

    private func object(_ share: ModelWeights.TypeShare) -> JSONValue {
        [
            "type": .string(share.type), "tensors": .int(Int64(share.tensors)),
            "parameters": .int(Int64(share.parameters)), "bytes": .int(Int64(share.bytes)),
        ]
    }

    private func object(_ memory: InspectedMemory) -> JSONValue {
        let caches = zip(memory.caches, memory.totals).map { cache, total -> JSONValue in
            [
                "tokens": .int(Int64(cache.tokens)),
                "cache_bytes": .object(cache.bytes.map { .init($0.type.rawValue, .int(Int64($0.bytes))) }),
                "total_bytes": .int(Int64(total)),
            ]
        }
        return [
            "free_bytes": memory.freeBytes.map { .int(Int64($0)) } ?? .null,
            "weight_bytes": .object(memory.weights.map { .init($0.mode.rawValue, .int(Int64($0.bytes))) }),
            "optimizations": .string(memory.mode.rawValue), "kv_cache_dtype": .string(memory.cacheType.rawValue),
            "sequences": .array(caches),
        ]
    }

    private func object(_ speed: InspectedSpeed) -> JSONValue {
        [
            "threads": .int(Int64(speed.limits.threads)),
            "read_bytes_per_second": .double(speed.limits.readBytesPerSecond),
            "int8_operations_per_second": .double(speed.limits.int8OperationsPerSecond),
            "float_operations_per_second": .double(speed.limits.floatOperationsPerSecond),
            "prefill_tokens_per_second": .double(speed.prefillTokensPerSecond),
            "context": .int(Int64(speed.context)),
            "decode": .array(
                speed.decodes.map { ["rows": .int(Int64($0.rows)), "tokens_per_second": .double($0.tokensPerSecond)] }),
        ]
    }
}
