// Every field that a request body may have: fields that are read, unsupported fields that are accepted with their
// neutral values, and fields that only identify or hint. The names are those of OpenAI (completions and chat
// completions) and vLLM; real clients send many of them with their default values.

package import JSONText

/// A field that ttbatch reads.
package enum BodyField: String, CaseIterable {
    case model, prompt, messages, tools
    case toolChoice = "tool_choice"
    case parallelToolCalls = "parallel_tool_calls"
    case includeReasoning = "include_reasoning"
    case templateArguments = "chat_template_kwargs"
    case addGenerationPrompt = "add_generation_prompt"
    case continueFinalMessage = "continue_final_message"
    case documents
    case chatTemplate = "chat_template"
    case reasoningEffort = "reasoning_effort"
    case maxTokens = "max_tokens"
    case maxCompletionTokens = "max_completion_tokens"
    case minTokens = "min_tokens"
    case temperature
    case topP = "top_p"
    case topK = "top_k"
    case seed, stop
    case stopTokenIDs = "stop_token_ids"
    case ignoreEOS = "ignore_eos"
    case returnTokenIDs = "return_token_ids"
    case minP = "min_p"
    case typicalP = "typical_p"
    case presencePenalty = "presence_penalty"
    case frequencyPenalty = "frequency_penalty"
    case repetitionPenalty = "repetition_penalty"
    case logitBias = "logit_bias"
    case allowedTokenIDs = "allowed_token_ids"
    case badWords = "bad_words"
    case n
    case bestOf = "best_of"
    case logprobs
    case topLogprobs = "top_logprobs"
    case logprobTokenIDs = "logprob_token_ids"
    case promptLogprobs = "prompt_logprobs"
    case returnTokensAsTokenIDs = "return_tokens_as_token_ids"
    case echo
    case includeStop = "include_stop_str_in_output"
    case skipSpecialTokens = "skip_special_tokens"
    case spacesBetweenSpecialTokens = "spaces_between_special_tokens"
    case addSpecialTokens = "add_special_tokens"
    case truncatePromptTokens = "truncate_prompt_tokens"
    case truncationSide = "truncation_side"
    case responseFormat = "response_format"
    case structuredOutputs = "structured_outputs"
    case guidedJSON = "guided_json"
    case guidedRegex = "guided_regex"
    case guidedChoice = "guided_choice"
    case guidedGrammar = "guided_grammar"
    case repetitionDetection = "repetition_detection"
    case classify, score
    case jsonConfidence = "json_confidence"
    case store, stream
    case streamOptions = "stream_options"

    /// The only endpoint that has the field; nil if both have it.
    package var onlyEndpoint: Endpoint? {
        switch self {
        case .prompt, .echo, .bestOf: .completions
        case .messages, .tools, .toolChoice, .templateArguments, .addGenerationPrompt, .continueFinalMessage,
            .documents, .chatTemplate, .reasoningEffort, .topLogprobs, .parallelToolCalls, .includeReasoning:
            .chatCompletions
        default: nil
        }
    }

    /// Whether a value has the same effect as leaving out the field.
    package func isNeutral(_ value: JSONNode) -> Bool {
        switch self {
        case _ where value.isNull: true
        case .tools, .documents: value.equals([])
        case .addGenerationPrompt, .parallelToolCalls, .includeReasoning: value.equals(true)
        case .continueFinalMessage, .echo: value.equals(false)
        case .n, .bestOf: value.equals(1)
        case .topLogprobs: value.equals(0)
        default: false
        }
    }
}

/// How a field of a body is handled.
package enum BodyFieldRule {
    case read(BodyField)
    /// Accepted if it is null or one of these values, which have no effect; else rejected.
    case neutral([JSONValue])
    /// Accepted and ignored: it identifies the user or the request, or hints at caching, and cannot change the text.
    case ignoredString
    /// The same for an object.
    case ignoredObject
}

extension BodyFieldRule {
    /// The rule of a field, and a number below 128 for it in the set of fields seen.
    package static func named(_ name: String) -> (number: Int, rule: BodyFieldRule)? { table[name] }

    package static var allNames: some Sequence<String> { table.keys }

    private static let table: [String: (number: Int, rule: BodyFieldRule)] = {
        var rules = neutral.mapValues { BodyFieldRule.neutral($0) }
        for field in BodyField.allCases { rules[field.rawValue] = .read(field) }
        for name in [
            "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "request_id",
            "guided_decoding_backend",
        ] {
            rules[name] = .ignoredString
        }
        for name in ["metadata", "prompt_cache_options"] { rules[name] = .ignoredObject }
        precondition(rules.count <= 128, "the set of fields seen has 128 bits")
        let numbered = rules.sorted { $0.key < $1.key }.enumerated()
        return Dictionary(uniqueKeysWithValues: numbered.map { ($1.key, (number: $0, rule: $1.value)) })
    }()

    /// Fields that are not supported, each with its values besides null that have no effect.
    private static let neutral: [String: [JSONValue]] = [
        // OpenAI
        "audio": [], "function_call": ["none", "auto"], "functions": [[]], "modalities": [["text"]], "moderation": [],
        "prediction": [],
        "service_tier": ["auto", "default"], "suffix": [""], "verbosity": ["medium"],
        "web_search_options": [],
        // vLLM: sampling
        "length_penalty": [1], "logits_processors": [[]], "use_beam_search": [false],
        // vLLM: constrained output
        "guided_whitespace_pattern": [], "structural_tag": [],
        // vLLM: others
        "cache_salt": [],
        "kv_transfer_params": [],
        "media_io_kwargs": [[:]], "mm_processor_kwargs": [[:]], "priority": [0], "prompt_embeds": [],
        "thinking_token_budget": [], "vllm_xargs": [[:]],
    ]
}

extension JSONNode {
    /// Whether the node equals `value`. Numbers are compared by value (0 is 0.0), objects in any order.
    package func equals(_ value: JSONValue) -> Bool {
        switch (kind, value) {
        case (.null, .null): true
        case (.bool, .bool(let other)): bool == other
        case (.int, .int(let other)): int == other
        case (.double, .int(let other)): double == Double(other)
        case (.string, .string(let other)): string == other
        case (.array, .array(let others)):
            Array(elements).count == others.count && zip(elements, others).allSatisfy { $0.equals($1) }
        case (.object, .object(let others)):
            Array(members).count == others.count
                && members.allSatisfy { key, node in others.contains { $0.key == key.string && node.equals($0.value) } }
        default: false
        }
    }
}
