// The values of the configuration classes.
//
// Source: Hugging Face transformers 5.24, `models/*/configuration_*.py`.

import JSONText

extension ConfigClass {
    /// Every class whose models can be described.
    static let all: [ConfigClass] = [
        ConfigClass(
            modelType: "llama", family: "llama",
            defaults: sizes(4096, 11008, layers: 32, heads: 32, context: 2048, vocabulary: 32000)),
        ConfigClass(
            modelType: "mistral", family: "llama",
            defaults: sizes(
                4096, 14336, layers: 32, heads: 32, context: 131_072, vocabulary: 32000,
                ["num_key_value_heads": 8, "sliding_window": 4096]),
            windows: .everyLayer),
        ConfigClass(
            modelType: "ministral3", family: "mistral3",
            defaults: sizes(
                4096, 14336, layers: 34, heads: 32, context: 262_144, vocabulary: 131_072,
                [
                    "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-5,
                    "rope_parameters": [
                        "rope_type": "yarn", "rope_theta": 1e6, "factor": 16.0,
                        "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0,
                        "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1,
                    ],
                ]),
            windows: .everyLayer),
        ConfigClass(
            modelType: "qwen2", family: "qwen2",
            defaults: sizes(
                4096, 22016, layers: 32, heads: 32, context: 32768, vocabulary: 151_936,
                ["num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28]),
            windows: .fromLayer),
        ConfigClass(
            modelType: "qwen3", family: "qwen3",
            defaults: sizes(
                4096, 22016, layers: 32, heads: 32, context: 32768, vocabulary: 151_936,
                ["num_key_value_heads": 32, "head_dim": 128, "sliding_window": 4096, "max_window_layers": 28]),
            windows: .fromLayer),
        ConfigClass(
            modelType: "smollm3", family: "smollm3",
            defaults: sizes(
                2048, 11008, layers: 36, heads: 16, context: 32768, vocabulary: 128_256,
                ["num_key_value_heads": 4, "no_rope_layer_interval": 4, "tie_word_embeddings": true]),
            windows: .whereNotRotated, rotary: Rotary(theta: 2_000_000)),
        ConfigClass(
            modelType: "granite", family: "granite",
            defaults: sizes(
                4096, 11008, layers: 32, heads: 32, context: 2048, vocabulary: 32000,
                [
                    "embedding_multiplier": 1.0, "logits_scaling": 1.0, "residual_multiplier": 1.0,
                    "attention_multiplier": 1.0,
                ]),
            numbers: [
                "embedding_multiplier": "embedding_scale", "logits_scaling": "logit_scale",
                "residual_multiplier": "residual_scale", "attention_multiplier": "attention.scale",
            ]),
        ConfigClass(
            modelType: "phi3", family: "phi3",
            defaults: sizes(
                3072, 8192, layers: 32, heads: 32, context: 4096, vocabulary: 32064,
                ["original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5]),
            windows: .everyLayer, rotary: Rotary(partial: 1, isPhi: true)),
        ConfigClass(
            modelType: "gemma", family: "gemma",
            defaults: sizes(
                3072, 24576, layers: 28, heads: 16, context: 8192, vocabulary: 256_000,
                [
                    "num_key_value_heads": 16, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
                    "tie_word_embeddings": true,
                ]),
            // The official files say "gelu" and mean its approximation.
            activations: ["gelu_pytorch_tanh", "gelu_new", "gelu"]),
        ConfigClass(
            modelType: "gemma2", family: "gemma2",
            defaults: sizes(
                2304, 9216, layers: 26, heads: 8, context: 8192, vocabulary: 256_000,
                gemma.merging([
                    "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0,
                ]) { $1 }),
            activation: "hidden_activation", activations: tanhGELU, windows: .butEvery(2, isGiven: false),
            numbers: [
                "final_logit_softcapping": "final_logit_softcapping",
                "attn_logit_softcapping": "attn_logit_softcapping",
                "query_pre_attn_scalar": "attention.query_pre_scale",
            ]),
        ConfigClass(
            modelType: "gemma3_text", family: "gemma3",
            defaults: sizes(2304, 9216, layers: 26, heads: 8, context: 131_072, vocabulary: 262_208, gemma),
            activation: "hidden_activation", activations: tanhGELU, windows: .butEvery(6, isGiven: true),
            rotary: Rotary(theta: 1_000_000, localTheta: 10_000),
            numbers: [
                "final_logit_softcapping": "final_logit_softcapping",
                "query_pre_attn_scalar": "attention.query_pre_scale",
            ]),
        ConfigClass(
            modelType: "olmo2", family: "olmo2",
            defaults: sizes(
                4096, 11008, layers: 32, heads: 32, context: 2048, vocabulary: 50304, ["rms_norm_eps": 1e-5])),
        ConfigClass(
            modelType: "olmo3", family: "olmo2",
            defaults: sizes(
                4096, 11008, layers: 32, heads: 32, context: 2048, vocabulary: 50304,
                ["rms_norm_eps": 1e-5, "sliding_window": 4096]),
            windows: .butEvery(4, isGiven: false), rotary: Rotary(theta: 500_000, localTheta: 500_000)),
        ConfigClass(
            modelType: "glm4", family: "glm4",
            defaults: sizes(
                4096, 13696, layers: 40, heads: 32, context: 131_072, vocabulary: 151_552,
                ["num_key_value_heads": 2, "head_dim": 128, "rms_norm_eps": 1.5625e-7]),
            rotary: Rotary(partial: 0.5)),
        ConfigClass(
            modelType: "seed_oss", family: "seed_oss",
            defaults: sizes(
                4096, 27648, layers: 64, heads: 80, context: 524_288, vocabulary: 155_136,
                ["num_key_value_heads": 8, "head_dim": 128])),
        ConfigClass(
            modelType: "exaone4", family: "exaone4",
            defaults: sizes(
                4096, 16384, layers: 32, heads: 32, context: 2048, vocabulary: 102_400,
                ["num_key_value_heads": 32, "rms_norm_eps": 1e-5, "sliding_window": 4096]),
            windows: .butEvery(4, isGiven: true)),
        ConfigClass(
            modelType: "cohere2", family: "cohere2",
            defaults: sizes(
                8192, 22528, layers: 40, heads: 64, context: 8192, vocabulary: 256_000,
                ["logit_scale": 0.0625, "layer_norm_eps": 1e-5, "sliding_window": 4096, "tie_word_embeddings": true]),
            epsilon: "layer_norm_eps", windows: .butEvery(4, isGiven: true),
            numbers: ["logit_scale": "logit_scale"]),
        ConfigClass(
            modelType: "ernie4_5", family: "ernie4_5",
            defaults: sizes(
                1024, 3072, layers: 18, heads: 16, context: 131_072, vocabulary: 103_424,
                ["num_key_value_heads": 2, "head_dim": 128, "rms_norm_eps": 1e-5, "tie_word_embeddings": true]),
            rotary: Rotary(theta: 500_000)),
        ConfigClass(
            modelType: "hunyuan_v1_dense", family: "hunyuan-dense",
            defaults: sizes(
                4096, 11008, layers: 32, heads: 32, context: 2048, vocabulary: 290_943, ["rms_norm_eps": 1e-5]),
            rotary: Rotary(hasAlpha: true)),
        ConfigClass(
            modelType: "nemotron", family: "nemotron",
            defaults: sizes(
                6144, 24576, layers: 32, heads: 48, context: 4096, vocabulary: 256_000,
                ["hidden_act": "relu2", "norm_eps": 1e-5]),
            epsilon: "norm_eps", activations: ["relu2"], rotary: Rotary(partial: 0.5)),
        ConfigClass(
            modelType: "starcoder2", family: "starcoder2",
            defaults: sizes(
                3072, 12288, layers: 30, heads: 24, context: 4096, vocabulary: 49152,
                [
                    "num_key_value_heads": 2, "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-5,
                    "tie_word_embeddings": true,
                ]),
            epsilon: "norm_epsilon", activations: tanhGELU, windows: .everyLayer),
    ]

    private static let tanhGELU: Set<String> = ["gelu_pytorch_tanh", "gelu_new"]

    /// What Gemma 2 and 3 have in common.
    private static let gemma: [String: JSONValue] = [
        "num_key_value_heads": 4, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": true,
        "query_pre_attn_scalar": 256, "sliding_window": 4096,
    ]

    /// The defaults that every class has, and `others`.
    private static func sizes(
        _ hidden: Int64, _ intermediate: Int64, layers: Int64, heads: Int64, context: Int64, vocabulary: Int64,
        _ others: [String: JSONValue] = [:]
    ) -> [String: JSONValue] {
        let usual: [String: JSONValue] = [
            "hidden_size": .int(hidden), "intermediate_size": .int(intermediate), "num_hidden_layers": .int(layers),
            "num_attention_heads": .int(heads), "max_position_embeddings": .int(context),
            "vocab_size": .int(vocabulary),
            "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": false,
        ]
        return usual.merging(others) { $1 }
    }
}
