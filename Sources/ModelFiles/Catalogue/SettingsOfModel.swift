// What the configuration says of one model, in words and as JSON.

package import JSONText

extension ModelOptions {
    /// A key that is set, its value as it stands in the configuration, and as JSON.
    package struct Setting {
        package let key: String
        package let text: String
        package let json: JSONValue

        fileprivate init(_ key: String, _ value: String) { (self.key, text, json) = (key, value, .string(value)) }
        fileprivate init(_ key: String, _ value: Int) { (self.key, text, json) = (key, "\(value)", .int(Int64(value))) }
        fileprivate init(_ key: String, _ value: Double) { (self.key, text, json) = (key, "\(value)", .double(value)) }
    }

    /// The keys that are set, by their names below `models.NAME`.
    package var settings: [Setting] {
        var settings: [Setting] = []
        if let maxModelLen { settings.append(Setting("max_model_len", maxModelLen)) }
        if let quantize { settings.append(Setting("quantize", quantize.rawValue)) }
        if let templatePath { settings.append(Setting("template", templatePath)) }
        if let toolCalls { settings.append(Setting("tool_calls", toolCalls.rawValue)) }
        if let reasoning { settings.append(Setting("reasoning", reasoning.rawValue)) }
        if let preTokenizer { settings.append(Setting("tokenizer.pre", preTokenizer)) }
        return settings + defaults.settings(prefix: "defaults.")
    }

    /// The keys that are set, as they stand in the configuration.
    package var json: JSONValue {
        let plain = settings.filter { !$0.key.contains(".") }.map { JSONValue.Member($0.key, $0.json) }
        let tokenizer = preTokenizer.map { [JSONValue.Member("tokenizer", ["pre": .string($0)])] } ?? []
        let sampling = defaults.settings().isEmpty ? [] : [JSONValue.Member("defaults", defaults.json)]
        return .object(plain + tokenizer + sampling)
    }
}

extension SamplingDefaults {
    /// The parameters that are set.
    package func settings(prefix: String = "") -> [ModelOptions.Setting] {
        var settings: [ModelOptions.Setting] = []
        if let temperature { settings.append(.init(prefix + "temperature", temperature)) }
        if let topP { settings.append(.init(prefix + "top_p", topP)) }
        if let topK { settings.append(.init(prefix + "top_k", topK)) }
        if let minP { settings.append(.init(prefix + "min_p", minP)) }
        if let repetitionPenalty { settings.append(.init(prefix + "repetition_penalty", repetitionPenalty)) }
        if let maxTokens { settings.append(.init(prefix + "max_tokens", maxTokens)) }
        return settings
    }

    /// The parameters that are set, as an object.
    package var json: JSONValue { .object(settings().map { .init($0.key, $0.json) }) }
}
