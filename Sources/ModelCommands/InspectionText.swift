// An inspected model in words.

import Foundation
import HostDevice
import ModelFiles
import Platform
import Terminal

/// The lines of `ttbatch models inspect`.
struct InspectionText {
    let model: InspectedModel
    let memory: InspectedMemory?
    let speed: InspectedSpeed?

    /// Reasons of one kind are cut here; `--json` has all.
    private static let mostReasons = 8

    var lines: [String] {
        [printable(model.entry.name)] + definitionLines(facts.map { ("  " + $0, $1) }) + memoryLines + speedLines
    }

    private var facts: [(String, String)] {
        var facts: [(String, String)] = []
        if let bundle = model.bundle {
            facts = fileFacts(bundle) + modelFacts(bundle) + textFacts(bundle)
        } else {
            facts = [("file", model.entry.path)]
        }
        facts += model.warnings.map { ("warning", $0) }
        facts += model.refusals.prefix(Self.mostReasons).map { ("unsupported", $0) }
        let more = model.refusals.count - Self.mostReasons
        if more > 0 { facts.append(("unsupported", "and for \(more) reasons more")) }
        if let chatRefusal = model.chatRefusal { facts.append(("no chats", chatRefusal)) }
        return facts
    }

    private func fileFacts(_ bundle: ModelBundle) -> [(String, String)] {
        let files = bundle.weights.fileSizes
        let bytes = Quantity.bytes(Int64(files.reduce(0) { $0 + $1.bytes }))
        var facts = [
            files.count == 1 && files[0].path == model.entry.path
                ? ("file", "\(model.entry.path), \(bytes)")
                : ("files", "\(model.entry.path), \(files.count) with weights, \(bytes)")
        ]
        if !model.entry.options.settings.isEmpty {
            facts.append(
                ("settings", model.entry.options.settings.map { "\($0.key) \($0.text)" }.joined(separator: ", ")))
        }
        return facts
    }

    private func modelFacts(_ bundle: ModelBundle) -> [(String, String)] {
        let config = bundle.config
        let classes = config.architectures.joined(separator: ", ")
        let family = bundle.family.map { $0 == bundle.architecture ? "" : ", described as \($0)" } ?? ", not known"
        var facts = [
            ("architecture", "\(bundle.architecture ?? "unnamed") (\(classes))\(family)"),
            ("parameters", "\(Quantity.count(config.parameterCount)), all active"),
            (
                "weights",
                bundle.weights.typeShares.map { "\($0.tensors) of \($0.type), \(Quantity.bytes(Int64($0.bytes)))" }
                    .joined(separator: "; ")
            ),
            ("context", "\(config.contextLength) tokens"),
            (
                "shape",
                "\(config.layerCount) layers of \(config.hiddenSize), \(config.attentionHeadCount) heads of "
                    + "\(config.headSize) (\(config.keyValueHeadCount) key/value), vocabulary \(config.vocabularySize)"
            ),
        ]
        if let description = model.check?.description {
            if let feedForward = description.feedForwardWords(bundle.weights) {
                facts.append(("feed-forward", feedForward))
            }
            facts.append(("norms", description.normWords(bundle.weights)))
            facts.append(("positions", "rotary, \(description.ropeWords)"))
            if let window = description.windowWords { facts.append(("window", window)) }
        }
        return facts
    }

    private func textFacts(_ bundle: ModelBundle) -> [(String, String)] {
        let template = model.chatTemplateBytes.map { "\($0) bytes" } ?? (model.chatRefusal == nil ? "none" : "unusable")
        let path = bundle.options.templatePath.map { " of \($0)" } ?? ""
        let defaults = bundle.samplingDefaults.settings().map { "\($0.key) \($0.text)" }
        return [
            ("tokenizer", model.tokenizerKind ?? "unreadable"), ("chat template", template + path),
            ("sampling", defaults.isEmpty ? "no defaults of its own" : defaults.joined(separator: ", ")),
        ]
    }

    private var memoryLines: [String] {
        guard let memory else { return [] }
        var table = Table(
            [("TOKENS", .right)] + KVCacheDType.allCases.map { ("\($0.rawValue) CACHE", .right) }
                + [("WITH WEIGHTS", .right), ("", .left)])
        for (cache, total) in zip(memory.caches, memory.totals) {
            let fits = memory.freeBytes.map { total <= $0 ? "" : "does not fit" } ?? ""
            table.add(
                ["\(cache.tokens)"] + (cache.bytes.map(\.bytes) + [total]).map { Quantity.bytes(Int64($0)) } + [fits])
        }
        let weights = memory.weights.map { "\(Quantity.bytes(Int64($0.bytes))) for \($0.mode.rawValue)" }
        let free = memory.freeBytes.map { "; \(Quantity.bytes(Int64($0))) are free" } ?? ""
        return [
            "", "Memory: weights packed, \(weights.joined(separator: ", "))\(free)",
            "One sequence, and with the weights (\(memory.mode.rawValue), \(memory.cacheType.rawValue) cache):",
        ] + table.lines.map { "  " + $0 }
    }

    private var speedLines: [String] {
        guard let speed else { return [] }
        let limits = speed.limits
        let rows = speed.decodes.map { decode in
            ("  decode, \(decode.rows) row\(decode.rows == 1 ? "" : "s")", rate(decode.tokensPerSecond))
        }
        return [
            "",
            String(
                format: "Speed with %d tokens, estimated: %d thread%@, %.1f GB/s, %.0f int8 and %.0f float Gop/s",
                speed.context, limits.threads,
                limits.threads == 1 ? "" : "s", limits.readBytesPerSecond / 1e9, limits.int8OperationsPerSecond / 1e9,
                limits.floatOperationsPerSecond / 1e9),
        ] + definitionLines([("  prefill", rate(speed.prefillTokensPerSecond))] + rows)
    }

    private func rate(_ tokensPerSecond: Double) -> String { "\(Quantity.rate(tokensPerSecond)) tokens/s" }
}
