// The `models:` section of the configuration: names of models, and what belongs to each.

import ModelFiles
import Platform

/// The keys of a model under `models:` in the configuration.
struct ModelSettings {
    var path = ""
    var aliases: [String] = []
    var options = ModelOptions()
}

extension ModelSettings: ConfigurationSection {
    mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        path = try reader.string("path") ?? ""
        aliases = try reader.strings("aliases")
        options.preTokenizer = try reader.string("tokenizer.pre")
        options.templatePath = try reader.string("template")
        options.toolCalls = try reader.choice("tool_calls")
        options.reasoning = try reader.choice("reasoning")
        options.maxModelLen = try reader.integer("max_model_len", in: 2...Int.max)
        let quantize: QuantizeChoice? = try reader.choice("quantize")
        options.quantize = quantize.flatMap { Quantization(rawValue: $0.rawValue) }
        options.defaults.temperature = try reader.number("defaults.temperature", "a number from 0 to 2") {
            (0...2).contains($0)
        }
        options.defaults.topP = try reader.number("defaults.top_p", "a number above 0, at most 1") {
            $0 > 0 && $0 <= 1
        }
        options.defaults.topK = try reader.integer("defaults.top_k", in: 0...Int(Int32.max))
        options.defaults.minP = try reader.number("defaults.min_p", "a number from 0 to 1") { (0...1).contains($0) }
        options.defaults.repetitionPenalty = try reader.number(
            "defaults.repetition_penalty", "a number above 0, at most 1000"
        ) { $0 > 0 && $0 <= 1000 }
        options.defaults.maxTokens = try reader.integer("defaults.max_tokens", in: 1...Int(Int32.max))
    }
}

/// The values of `quantize`.
private enum QuantizeChoice: String, CaseIterable {
    case none, q8_0, q4_0
}
