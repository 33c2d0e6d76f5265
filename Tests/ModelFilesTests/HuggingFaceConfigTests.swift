// What a config.json says in each dialect, and what of it is refused.

import JSONText
import TestSupport
import Testing

@testable import ModelFiles

@Suite struct HuggingFaceConfigTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func describe(
        _ model: FolderBuilder, warnings: inout [String]
    ) throws -> ModelDescription {
        try ModelBundle(path: model.write(to: folder)).description(warnings: &warnings)
    }

    private func describe(_ model: FolderBuilder) throws -> ModelDescription {
        var warnings: [String] = []
        defer { #expect(warnings == []) }
        return try describe(model, warnings: &warnings)
    }

    private func attention(_ model: FolderBuilder, layer: Int = 0) throws -> ModelDescription.Attention {
        try describe(model).attentions[layer]
    }

    private func refuse(_ model: FolderBuilder, _ messages: String...) throws {
        let error = #expect(throws: ModelFileError.self) {
            try ModelBundle(path: model.write(to: folder)).description()
        }
        let text = error?.description ?? ""
        for message in messages { #expect(text.contains(message), "\(text) lacks \(message)") }
        #expect(text.hasPrefix(folder.path) && error?.mayPass == false)
    }

    private func llama(_ changes: [String: JSONValue], without key: String? = nil) -> FolderBuilder {
        var model = FolderBuilder.llama
        model.config.merge(changes) { $1 }
        if let key { model.config[key] = nil }
        return model
    }

    @Test func aLlamaIsReadAsItIs() throws {
        let bundle = try ModelBundle(path: FolderBuilder.llama.write(to: folder))
        #expect(bundle.config.name == "model" && bundle.config.path == folder.file("model"))
        #expect(bundle.config.architectures == ["LlamaForCausalLM"] && bundle.config.weightType == "BF16")
        #expect(bundle.config.headSize == 4 && bundle.config.contextLength == 64)
        let description = try bundle.description()
        #expect(description.layers.count == 2 && description.norm == .init(epsilon: 1e-5))
        let attention = try attention(.llama)
        #expect(attention.rope == RotaryEmbedding(theta: 10_000, dimensions: 4, pairs: .halves))
        #expect(attention.window == nil && attention.keyValueHeads == 1)
    }

    // What the two dialects say.

    @Test(
        arguments: [
            ["rope_theta": 5e5, "rope_scaling": nil], ["rope_parameters": ["rope_theta": 5e5, "rope_type": "default"]],
            ["rope_theta": 5e5, "rope_parameters": ["rope_type": "default"]], ["rope_theta": 500_000],
            ["rope_theta": 1.0, "rope_parameters": ["rope_theta": 5e5]],
        ] as [[String: JSONValue]])
    func theBaseIsReadInBothDialects(keys: [String: JSONValue]) throws {
        #expect(try attention(llama(keys, without: keys["rope_theta"] == nil ? "rope_theta" : nil)).rope?.theta == 5e5)
    }

    @Test(
        arguments: [
            (["type": "linear", "factor": 4], .linear(factor: 4)), (["rope_type": "default", "factor": 4], .none),
            ([:], .none),
            (
                [
                    "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                    "original_max_position_embeddings": 32,
                ], .llama3(.init(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 32))
            ),
            (
                ["type": "yarn", "factor": 4, "original_max_position_embeddings": 16],
                .yarn(.init(factor: 4, originalContext: 16, magnitude: 1.1386294))
            ),
            // Without a factor it is the ratio of contexts, 64 to 16 here; 0 stands for the usual.
            (
                [
                    "rope_type": "yarn", "factor": nil, "original_max_position_embeddings": 16, "beta_fast": 0,
                    "beta_slow": 2,
                ],
                .yarn(.init(factor: 4, originalContext: 16, betaSlow: 2, magnitude: 1.1386294))
            ),
            (
                [
                    "rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "mscale": 1,
                    "mscale_all_dim": 1,
                    "truncate": false,
                ], .yarn(.init(factor: 4, originalContext: 16, truncates: false, magnitude: 1))
            ),
            // One of the two alone has no meaning.
            (
                ["rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "mscale": 0.5],
                .yarn(.init(factor: 4, originalContext: 16, magnitude: 1.1386294))
            ),
            (
                ["rope_type": "yarn", "factor": 4, "attention_factor": 2.5],
                .yarn(.init(factor: 4, originalContext: 64, magnitude: 2.5))
            ),
            (
                [
                    "rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4.5],
                    "original_max_position_embeddings": 16, "factor": 4,
                ],
                .longRoPE(
                    .init(shortDivisors: [1, 2], longDivisors: [3, 4.5], originalContext: 16, magnitude: 1.2247449))
            ),
        ] as [([String: JSONValue], RotaryEmbedding.Scaling)])
    func scalingIsReadInBothDialects(scaling: [String: JSONValue], wanted: RotaryEmbedding.Scaling) throws {
        let value = JSONValue.object(scaling.map { .init($0.key, $0.value) })
        for key in ["rope_scaling", "rope_parameters"] {
            #expect(try attention(llama([key: value])).rope?.scaling == wanted, "\(key)")
        }
    }

    @Test(
        arguments: [
            (["rope_type": "dynamic", "factor": 2], "RoPE scaling \"dynamic\""), (["rope_type": "mrope"], "\"mrope\""),
            (["rope_type": "linear"], "rope_scaling.factor"),
            (["rope_type": "linear", "factor": "2"], "rope_scaling.factor"),
            (["rope_type": "linear", "factor": 0], "factor"),
            (["rope_type": "llama3", "factor": 2], "low_freq_factor"),
            (["rope_type": "longrope", "factor": 2], "short_factor"), (["rope_type": 3], "rope_scaling.rope_type"),
            (["rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2]], "short_factor"),
            (["rope_type": "longrope", "short_factor": [1, 0], "long_factor": [1, 2]], "short_factor"),
            (["full_attention": ["rope_type": "default"]], "different types of layers"),
            (["partial_rotary_factor": 0.5, "rope_type": "linear", "factor": 2], "partial_rotary_factor"),
        ] as [([String: JSONValue], String)])
    func scalingThatIsNotComputedIsRefused(scaling: [String: JSONValue], message: String) throws {
        try refuse(llama(["rope_scaling": .object(scaling.map { .init($0.key, $0.value) })]), message)
    }

    @Test func phisOriginalContextStandsBesideItsScaling() throws {
        let scaling: JSONValue = ["type": "su", "short_factor": [1, 2], "long_factor": [3, 4]]
        let model = FolderBuilder.model(
            "phi3", "Phi3ForCausalLM",
            ["rope_scaling": scaling, "original_max_position_embeddings": 16, "sliding_window": nil])
        #expect(
            try attention(model).rope?.scaling
                == .longRoPE(
                    .init(shortDivisors: [1, 2], longDivisors: [3, 4], originalContext: 16, magnitude: 1.2247449)))
        let partial = FolderBuilder.model("phi3", "Phi3ForCausalLM", ["partial_rotary_factor": 0.5])
        #expect(try attention(partial).rope?.dimensions == 2)
    }

    @Test func hunYuansAlphaIsALargerBase() throws {
        var model = FolderBuilder.model("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM")
        model.config["rope_scaling"] = ["type": "dynamic", "alpha": 1000.0, "factor": 1.0]
        #expect(try attention(model).rope?.theta == Float(1e4 * 1e6))
        model.config["rope_scaling"] = ["type": "dynamic", "factor": 1.0]
        try refuse(model, "RoPE scaling \"dynamic\"")
    }

    // Windows.

    @Test(
        arguments: [
            ("qwen2", ["sliding_window": 8], [nil, nil]),
            ("qwen2", ["use_sliding_window": true, "sliding_window": 8], [nil, nil]),
            ("qwen2", ["use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1], [nil, 8]),
            ("qwen3", ["use_sliding_window": false, "sliding_window": 8, "max_window_layers": 0], [nil, nil]),
            (
                "qwen3",
                [
                    "use_sliding_window": true, "sliding_window": 8,
                    "layer_types": ["sliding_attention", "full_attention"],
                ], [8, nil]
            ),
            ("mistral", ["sliding_window": 8], [8, 8]), ("mistral", ["sliding_window": nil], [nil, nil]),
            ("mistral", [:], [4096, 4096]), ("llama", ["sliding_window": nil], [nil, nil]),
            ("gemma2", ["sliding_window": 8], [8, nil]),
            ("gemma2", ["sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"]], [nil, 8]),
            ("gemma3_text", ["sliding_window": 8, "sliding_window_pattern": 2], [8, nil]),
            ("gemma3_text", ["sliding_window": 8], [8, 8]), ("starcoder2", [:], [nil, nil]),
            ("smollm3", ["sliding_window": 8, "no_rope_layers": [1, 0]], [nil, nil]),
            ("smollm3", ["sliding_window": 8, "use_sliding_window": true, "no_rope_layers": [1, 0]], [nil, 8]),
            ("exaone4", ["sliding_window": nil, "sliding_window_pattern": nil], [nil, nil]),
            (
                "exaone4",
                [
                    "sliding_window": 8, "sliding_window_pattern": "LG",
                    "layer_types": ["sliding_attention", "full_attention"],
                ], [8, nil]
            ),
            ("cohere2", ["sliding_window": 8, "sliding_window_pattern": 2], [8, nil]),
            ("olmo3", ["sliding_window": 8], [8, 8]),
        ] as [(String, [String: JSONValue], [Int?])])
    func eachClassHasItsWindows(modelType: String, keys: [String: JSONValue], windows: [Int?]) throws {
        let model = try small(modelType, keys)
        for (layer, window) in windows.enumerated() {
            #expect(try attention(model, layer: layer).window == window, "layer \(layer)")
        }
    }

    @Test(
        arguments: [
            ("gemma3_text", ["layer_types": ["full_attention"]], "layer_types"),
            ("gemma3_text", ["layer_types": ["full_attention", "chunked_attention"]], "chunked_attention"),
            ("gemma3_text", ["sliding_window": nil], "sliding_window"),
            ("gemma3_text", ["sliding_window": 0], "sliding_window"),
            ("gemma3_text", ["sliding_window_pattern": 0], "sliding_window_pattern"),
            ("gemma3_text", ["use_bidirectional_attention": true], "use_bidirectional_attention"),
            ("gemma3_text", ["attn_logit_softcapping": 50.0], "attn_logit_softcapping"),
            (
                "gemma3_text", ["rope_parameters": ["rope_type": "linear", "factor": 8]],
                "all layers instead of each type"
            ),
            (
                "gemma3_text", ["rope_parameters": ["sliding_attention": ["rope_type": "linear", "factor": 8]]],
                "layers with a window"
            ),
            ("qwen2", ["layer_types": ["full_attention", "sliding_attention"]], "sliding_attention without a window"),
            ("mistral", ["sliding_window": 8, "layer_types": ["full_attention", "full_attention"]], "full_attention"),
            ("smollm3", ["no_rope_layers": [1]], "no_rope_layers"),
            ("cohere2", ["layer_types": full], "full_attention only"),
            ("exaone4", ["sliding_window": 8, "layer_types": full], "full_attention only"),
            ("exaone4", ["sliding_window": 8, "sliding_window_pattern": "LG"], "sliding_window_pattern"),
        ] as [(String, [String: JSONValue], String)])
    func windowsThatAreNotComputedAreRefused(modelType: String, keys: [String: JSONValue], message: String) throws {
        try refuse(try small(modelType, keys), message)
    }

    private static let full: JSONValue = ["full_attention", "full_attention"]

    /// A model of a class with the tensors that most have.
    private func small(_ modelType: String, _ keys: [String: JSONValue]) throws -> FolderBuilder {
        let configClass = try #require(ConfigClass.named(modelType))
        let family = try #require(ModelFamily.named(configClass.family))
        var model = FolderBuilder.model(modelType, family.classes[0], keys)
        model.config["head_dim"] = 4
        for key in ["rms_norm_eps"] where configClass.epsilon != key { model.config[key] = nil }
        return model
    }

    /// Every class gives a description by its defaults, with no key left unread.
    @Test(arguments: ConfigClass.all.map(\.modelType)) func defaultsAreEnough(modelType: String) throws {
        let model = try small(modelType, ["layer_types": nil, "sliding_window_pattern": nil])
        let description = try describe(model)
        #expect(description.layers.count == 2)
    }

    // Keys.

    @Test(
        arguments: [
            ("hidden_act", "gelu", #"hidden_act "gelu" (supported for llama: silu, swish)"#),
            ("hidden_act", 3, "the key hidden_act is 3 instead of a string"),
            ("hidden_size", "8", #"the key hidden_size is "8" instead of a whole number"#),
            ("hidden_size", 8.5, "hidden_size is 8.5"), ("hidden_size", 0, "hidden_size is 0"),
            ("num_hidden_layers", 1_099_511_627_776, "num_hidden_layers"),
            ("num_hidden_layers", 1_048_576, "num_hidden_layers of 1048576"),
            ("num_attention_heads", nil, "num_attention_heads"),
            ("num_key_value_heads", 3, "key/value heads"), ("head_dim", 5, "width"),
            ("rms_norm_eps", "x", "rms_norm_eps"),
            ("rms_norm_eps", 2.0, "rms_norm_eps"), ("rope_theta", -1.0, "rope_theta"),
            ("rope_theta", true, "rope_theta"),
            ("rope_theta", 1e300, "rope_theta"), ("rope_scaling", [1], "rope_scaling"),
            ("text_config", 5, "text_config"),
            ("per_layer_config", ["0": ["hidden_size": 8]], "per_layer_config"), ("is_causal", false, "is_causal"),
            ("is_encoder_decoder", true, "is_encoder_decoder"), ("pruned_heads", ["0": [1]], "pruned_heads"),
            ("partial_rotary_factor", 0.5, "partial_rotary_factor"), ("vocab_size", 17, "shape"),
            ("model_type", "mamba2", #"model_type "mamba2" (supported: llama"#),
            ("model_type", nil, "without model_type"),
            ("model_type", "qwen3_moe", "qwen3_moe"), ("architectures", ["LlamaModel"], #"architecture "LlamaModel""#),
            ("architectures", ["Qwen2ForSequenceClassification"], "Qwen2ForSequenceClassification"),
            ("architectures", "LlamaForCausalLM", "architectures"), ("tie_word_embeddings", 1, "tie_word_embeddings"),
        ] as [(String, JSONValue, String)])
    func keysThatAreNotUnderstoodAreRefused(key: String, value: JSONValue, message: String) throws {
        try refuse(llama([key: value]), message)
    }

    @Test(arguments: ["fp8", "gptq", "awq", "compressed-tensors", "mxfp4", "bitsandbytes", "modelopt", "bitnet"])
    func quantizedWeightsAreRefusedByName(method: String) throws {
        try refuse(llama(["quantization_config": ["quant_method": .string(method)]]), method, "GGUF")
    }

    @Test func whatTransformersIgnoresIsOnlyReported() throws {
        var warnings: [String] = []
        _ = try describe(llama(["use_mrope": false, "logits_scaling": 8, "odd": [1]]), warnings: &warnings)
        #expect(warnings.count == 1 && warnings[0].contains("logits_scaling, odd"))
        #expect(!warnings[0].contains("use_mrope"))
    }

    @Test func absentAndNullKeysAreWhatTheClassMakesOfThem() throws {
        #expect(try attention(llama(["num_key_value_heads": nil])).keyValueHeads == 2)
        #expect(try attention(llama(["head_dim": nil])).headSize == 4)
        #expect(try attention(llama([:], without: "num_key_value_heads")).keyValueHeads == 2)
        var gemma = FolderBuilder.model("gemma", "GemmaForCausalLM", ["head_dim": nil])
        gemma.config["num_key_value_heads"] = nil
        try refuse(gemma, "key/value heads")
        #expect(try describe(llama([:], without: "rms_norm_eps")).norm.epsilon == 1e-6)
        // Gemma's files say "gelu" and mean the approximation.
        gemma.config.merge(["num_key_value_heads": 1, "hidden_act": "gelu", "hidden_activation": nil]) { $1 }
        #expect(try describe(gemma).norm.weightOffset == 1)
        gemma.config["hidden_activation"] = "relu"
        try refuse(gemma, "hidden_activation")
    }

    // Models for pictures and text.

    private func nested(_ outer: [String: JSONValue] = [:], prefix: String = "language_model.") throws -> FolderBuilder
    {
        var model = FolderBuilder.llama
        let text = model.config.filter { !["architectures", "torch_dtype", "tie_word_embeddings"].contains($0.key) }
        model.config = [
            "architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "vision_config": ["a": 1],
            "text_config": .object(
                text.merging(["model_type": "mistral", "sliding_window": nil]) { $1 }.map { .init($0.key, $0.value) }),
        ]
        model.config.merge(outer) { $1 }
        model.tensors = model.tensors.map { (prefix + $0.name, $0.shape) }
        model.tensors += [
            ("vision_tower.patch_conv.weight", [2, 2]), ("multi_modal_projector.linear_1.weight", [2]),
            ("language_model.model.layers.0.self_attn.rotary_emb.inv_freq", [2]),
        ]
        return model
    }

    @Test func theTextModelInsideAnotherIsRead() throws {
        let bundle = try ModelBundle(path: nested().write(to: folder))
        #expect(bundle.config.architectures == ["Mistral3ForConditionalGeneration"] && bundle.config.hiddenSize == 8)
        #expect(bundle.weights.tensors.count == 21)
        #expect(try bundle.description() == describe(.llama))
        try refuse(nested(["model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]]), "Llava")
        try refuse(nested(["quantization_config": ["quant_method": "fp8"]]), "fp8")
        try refuse(llama(["text_config": ["model_type": "qwen3_omni"]]), "qwen3_omni")
    }

    @Test func withoutPicturesNoTensorIsLeftOut() throws {
        var model = FolderBuilder.llama
        model.tensors.append(("vision_tower.patch_conv.weight", [2, 2]))
        try refuse(model, #"tensor "vision_tower.patch_conv.weight""#)
    }

    // Tensors.

    @Test func tensorsThatAreNotKnownAreNamed() throws {
        for name in [
            "model.layers.0.mlp.experts.0.up_proj.weight", "model.layers.0.self_attn.q_proj.weight_scale", "odd",
            "model.layers.00.input_layernorm.weight", "blk.0.attn_q.weight", "model.layers.-1.mlp.up_proj.weight",
        ] {
            var model = FolderBuilder.llama
            model.tensors.append((name, [8]))
            try refuse(model, "tensor \"\(name)\"")
        }
        var twice = FolderBuilder.llama
        twice.tensors.append(("norm.weight", [8]))
        let path = try twice.write(to: folder)
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path) }
        #expect(error?.description.contains("are the same weight") == true)
    }

    @Test func outputsAreThereUnlessTheyAreTheEmbeddings() throws {
        var model = FolderBuilder.llama
        model.tensors.removeAll { $0.name == "lm_head.weight" }
        try refuse(model, "lm_head.weight (tie_word_embeddings is false)")
        model.config["tie_word_embeddings"] = true
        _ = try describe(model)
        // If both are there, the outputs are taken, as transformers does.
        _ = try describe(llama(["tie_word_embeddings": true]))
    }

    @Test(arguments: [
        ("", "line 1"), ("[]", "no object"), ("{\"a\": 1,\n\"b\": }", "line 2, column 6"),
        ("{\"a\":1,\"a\":2}", "\"a\""),
        ("{\"a\":18446744073709551615}", "18446744073709551615"), ("{\"a\":\"\u{0}\"}", "line 1"),
    ])
    func filesThatAreNoJSONAreNamed(text: String, message: String) throws {
        let path = try FolderBuilder.llama.write(to: folder)
        try folder.write("model/config.json", text)
        let error = #expect(throws: ModelFileError.self) { try ModelBundle(path: path) }
        let shown = error?.description ?? ""
        #expect(shown.hasPrefix(path + "/config.json") && (shown.contains(message) || text.isEmpty), "\(shown)")
    }
}
