// The keys of a `config.json` that are not read, and why.

import JSONText

extension KeyTranslation {
    /// Tells which keys the class does not have and so ignores, but for those that say "no".
    var warning: String? {
        let ignored = text.names.filter { !isKnown($0) && text[$0].map { !$0.isNeutral } ?? false }
        guard !ignored.isEmpty else { return nil }
        let shown = ignored.prefix(8).map { Excerpt.shortened(text.spelling($0)) }.joined(separator: ", ")
        return "\(config.path): ignored, as transformers' class for \(configClass.modelType) does: \(shown)"
            + (ignored.count > 8 ? " and \(ignored.count - 8) more" : "")
    }

    private func isKnown(_ key: String) -> Bool {
        Self.read.contains(key) || Self.withoutMeaning.contains(key) || configClass.numbers[key] != nil
            || key == configClass.epsilon || key == configClass.activation
            || Self.withoutMeaningAtItsEnd.contains { key.hasSuffix($0) }
            || Self.generation.contains(key)
    }

    /// What is read for every class.
    private static let read: Set<String> = [
        "model_type", "architectures", "text_config", "quantization_config", "hidden_size", "intermediate_size",
        "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
        "vocab_size", "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq",
        "partial_rotary_factor", "original_max_position_embeddings", "sliding_window", "use_sliding_window",
        "max_window_layers", "layer_types", "no_rope_layers", "no_rope_layer_interval", "sliding_window_pattern",
        "_sliding_window_pattern",
    ]

    /// What changes no result: how a model was trained, saved or is run, and biases, which are there or not.
    private static let withoutMeaning: Set<String> = [
        "_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype", "auto_map",
        "initializer_range",
        "use_cache", "attention_dropout", "residual_dropout", "embedding_dropout", "resid_pdrop", "embd_pdrop",
        "hidden_dropout", "pretraining_tp", "attention_bias", "attention_out_bias", "mlp_bias", "use_bias",
        "chunk_size_feed_forward", "output_attentions", "output_hidden_states", "return_dict", "problem_type",
        "id2label",
        "label2id", "num_labels", "cache_implementation", "is_decoder", "is_causal", "task_specific_params",
        "torchscript",
        "gradient_checkpointing", "transformers.js_config", "_attn_implementation_autoset", "_attn_implementation",
        "attn_implementation", "use_flash_attn", "hidden_act", "hidden_activation", "unsloth_version", "unsloth_fixed",
    ]

    private static let withoutMeaningAtItsEnd = ["_token_id", "_token_index"]

    /// What older files say of generation. Only end tokens are read, where `generation_config.json` has none.
    private static let generation: Set<String> = [
        "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty",
        "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
        "return_dict_in_generate", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
        "remove_invalid_values", "max_new_tokens",
    ]
}
