// Fields by their names in other programs: Ollama, llama.cpp, text-generation-inference, transformers, SGLang,
// Anthropic, Gemini, Mistral, Cohere and OpenAI's Responses. They are not read, since the other meanings of such a
// request are unknown, but the error message gives the name here.

/// What a message says about a field of another program's requests.
package enum ForeignField {
    /// The name of the field here.
    case called(BodyFieldName)
    /// There is no such field here; the text is what to do instead.
    case instead(String)

    /// The name of a field in `BodyFieldRule`.
    package typealias BodyFieldName = String

    /// The entry for `name`; case and separators do not matter.
    package static func named(_ name: String) -> ForeignField? { table[NearestName.folded(name)] }

    private static let called: [BodyFieldName: [String]] = [
        "prompt": ["input", "inputs", "instruction", "question", "query"],
        "messages": ["contents", "conversation", "conversations", "dialog", "dialogue"],
        "max_tokens": [
            "num_predict", "n_predict", "max_new_tokens", "max_length", "max_output_tokens", "max_tokens_to_sample",
            "max_gen_len", "max_gen_toks", "tokens_to_generate",
        ],
        "min_tokens": ["min_new_tokens", "min_length"],
        "temperature": ["temp"],
        "top_k": ["k"],
        "top_p": ["p"],
        "seed": ["random_seed"],
        "stop": ["stop_sequences", "stop_strings", "until"],
        "stop_token_ids": ["eos_token_id"],
        "n": ["num_return_sequences", "candidate_count", "num_generations"],
        "echo": ["return_full_text"],
        "logprobs": ["n_probs"],
        "top_logprobs": ["top_n_tokens"],
        "prompt_logprobs": ["decoder_input_details"],
        "repetition_penalty": ["repeat_penalty"],
        "truncate_prompt_tokens": ["truncate"],
        "response_format": ["format", "json_schema"],
        "guided_grammar": ["grammar"],
        "guided_regex": ["regex"],
        "use_beam_search": ["num_beams"],
    ]

    private static let instead: [String: [String]] = [
        "put its fields beside the other ones": [
            "options", "parameters", "generation_config", "sampling_params", "extra_body",
        ],
        "make it the first message, {\"role\": \"system\", \"content\": …}": [
            "system", "system_prompt", "system_instruction", "instructions",
        ],
        "the daemon sets it for all requests: engine.max_model_len": ["num_ctx", "n_ctx"],
        "remove it; temperature 0 is greedy, every other one samples": ["do_sample"],
    ]

    private static let table: [[UInt8]: ForeignField] = {
        var table: [[UInt8]: ForeignField] = [:]
        for (name, others) in called {
            precondition(BodyFieldRule.named(name) != nil, "\(name) is no field")
            for other in others { table[NearestName.folded(other)] = .called(name) }
        }
        for (advice, others) in instead {
            for other in others { table[NearestName.folded(other)] = .instead(advice) }
        }
        return table
    }()
}

extension BodyFieldRule {
    /// What to do about an unknown field in a request to `endpoint`.
    package static func remedy(forUnknown name: String, endpoint: Endpoint) -> String {
        switch ForeignField.named(name) {
        case .instead(let advice): advice
        case .called("prompt") where endpoint == .chatCompletions: "did you mean messages?"
        case .called(let known):
            if case .neutral? = named(known)?.rule {
                "it is called \(known) here, and not supported yet: remove it"
            } else {
                "did you mean \(known)?"
            }
        case nil: NearestName.of(name, among: allNames).map { "did you mean \($0)?" } ?? "remove it"
        }
    }
}
