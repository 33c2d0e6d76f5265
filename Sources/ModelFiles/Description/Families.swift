// The dense families: how each differs from a llama.
//
// Sources: Hugging Face transformers, `models/*/modeling_*.py` and `configuration_*.py`; llama.cpp, `src/models/*.cpp`, for
// what GGUF files leave unsaid.

extension ModelFamily {
    /// Every family that can be described.
    static let all: [ModelFamily] = [
        llama, mistral3, qwen2, qwen3, smolLM3, granite, phi3, gemma, gemma2, gemma3, olmo2, glm4, seedOSS, exaone4,
        cohere2,
        ernie45, hunYuan, nemotron, starCoder2,
    ]

    private static let llama = ModelFamily(
        name: "llama", classes: ["LlamaForCausalLM", "MistralForCausalLM"], pairsInGGUF: .neighbours)

    private static let mistral3 = ModelFamily(
        name: "mistral3", classes: ["Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"],
        pairsInGGUF: .neighbours
    ) { keys, description throws(ModelFileError) in
        guard let beta = try keys.number("attention.temperature_scale"), beta != 0 else { return }
        let interval = try keys.requiredSize("rope.scaling.original_context_length")
        description.updateAttention { _, attention in
            attention.temperature = ModelDescription.QueryTemperature(beta: beta, interval: interval)
        }
    }

    private static let qwen2 = ModelFamily(name: "qwen2", classes: ["Qwen2ForCausalLM"])

    private static let qwen3 = ModelFamily(name: "qwen3", classes: ["Qwen3ForCausalLM"])

    private static let smolLM3 = ModelFamily(
        name: "smollm3", classes: ["SmolLM3ForCausalLM"], pairsInGGUF: .neighbours
    ) { keys, description throws(ModelFileError) in
        let rotates = try keys.numbers("rope.layers")
        description.updateAttention { index, attention in
            let isRotated = rotates.map { index < $0.count && $0[index] != 0 } ?? ((index + 1) % 4 != 0)
            if !isRotated { attention.rope = nil }
        }
    }

    private static let granite = ModelFamily(
        name: "granite", classes: ["GraniteForCausalLM"], pairsInGGUF: .neighbours
    ) { keys, description throws(ModelFileError) in
        description.embeddingScale = try keys.number("embedding_scale") ?? 1
        description.residualScale = try keys.number("residual_scale") ?? 1
        description.logitScale = 1 / (try keys.number("logit_scale") ?? 1)
        if let scale = try keys.number("attention.scale"), scale != 0 {
            description.updateAttention { $1.scale = scale }
        }
    }

    private static let phi3 = ModelFamily(name: "phi3", classes: ["Phi3ForCausalLM"])

    private static let gemma = ModelFamily(name: "gemma", classes: ["GemmaForCausalLM"], normAddsOne: true) {
        _, description in
        description.scaleAsGemma()
    }

    private static let gemma2 = ModelFamily(
        name: "gemma2", classes: ["Gemma2ForCausalLM"], fullLayerInterval: 2, normAddsOne: true,
        tensorNames: ["post_attention_layernorm": "post_attention_norm"]
    ) { keys, description throws(ModelFileError) in
        description.scaleAsGemma()
        description.logitCap = try keys.number("final_logit_softcapping")
        let cap = try keys.number("attn_logit_softcapping")
        description.updateAttention { $1.scoreCap = cap }
        try description.setQueryScale(keys, layersOf27B: 46)
    }

    private static let gemma3 = ModelFamily(
        name: "gemma3", classes: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"], fullLayerInterval: 6,
        scalesFullLayersOnly: true, normAddsOne: true, tensorNames: ["post_attention_layernorm": "post_attention_norm"]
    ) { keys, description throws(ModelFileError) in
        description.scaleAsGemma()
        description.logitCap = try keys.number("final_logit_softcapping").flatMap { $0 > 0 ? $0 : nil }
        // Older files do not name the base of the local layers.
        if keys["rope.freq_base_swa"] == nil {
            description.updateAttention { if $1.window != nil { $1.rope?.theta = 10_000 } }
        }
        try description.setQueryScale(keys, layersOf27B: 62)
    }

    private static let olmo2 = ModelFamily(
        name: "olmo2", classes: ["Olmo2ForCausalLM", "Olmo3ForCausalLM"], fullLayerInterval: 4,
        scalesFullLayersOnly: true, tensorNames: ["post_attention_layernorm": "post_attention_norm"])

    private static let glm4 = ModelFamily(
        name: "glm4", classes: ["Glm4ForCausalLM"], pairs: .neighbours, pairsInGGUF: .neighbours)

    private static let seedOSS = ModelFamily(
        name: "seed_oss", classes: ["SeedOssForCausalLM"], renamed: ["ffn_norm": "post_attention_norm"])

    private static let exaone4 = ModelFamily(
        name: "exaone4", classes: ["Exaone4ForCausalLM"], fullLayerInterval: 4,
        tensorNames: ["post_attention_layernorm": "post_attention_norm"]
    ) { _, description in
        description.leaveFullLayersUnrotated()
    }

    private static let cohere2 = ModelFamily(
        name: "cohere2", classes: ["Cohere2ForCausalLM"], pairs: .neighbours, pairsInGGUF: .neighbours,
        fullLayerInterval: 4, norm: .layer
    ) { keys, description throws(ModelFileError) in
        description.isParallel = true
        description.logitScale = try keys.requiredNumber("logit_scale")
        description.leaveFullLayersUnrotated()
    }

    private static let ernie45 = ModelFamily(
        name: "ernie4_5", classes: ["Ernie4_5ForCausalLM"], pairs: .neighbours, pairsInGGUF: .neighbours)

    private static let hunYuan = ModelFamily(name: "hunyuan-dense", classes: ["HunYuanDenseV1ForCausalLM"]) {
        _, description in
        description.updateAttention { $1.normalisesAfterRope = true }
    }

    private static let nemotron = ModelFamily(
        name: "nemotron", classes: ["NemotronForCausalLM"], norm: .layer, normAddsOne: true
    ) { _, description in
        description.setActivation(.squaredReLU)
    }

    private static let starCoder2 = ModelFamily(
        name: "starcoder2", classes: ["Starcoder2ForCausalLM"], norm: .layer
    ) { _, description in
        description.setActivation(.gelu)
    }
}

extension ModelDescription {
    /// Gemma's embeddings and activation.
    fileprivate mutating func scaleAsGemma() {
        embeddingScale = Float(hiddenSize).squareRoot()
        setActivation(.gelu)
    }

    /// Gemma's scale of scores is its own number, which is the head size but for the 27B models. GGUF files do not contain it.
    fileprivate mutating func setQueryScale(_ keys: ModelKeys, layersOf27B: Int) throws(ModelFileError) {
        let given = try keys.number("attention.query_pre_scale")
        let hidden = hiddenSize
        let is27B = layers.count == layersOf27B
        updateAttention { _, attention in
            let width = given ?? Float(is27B ? hidden / attention.heads : attention.headSize)
            attention.scale = 1 / width.squareRoot()
        }
    }

    /// Layers without a window have no positions, if other layers have a window.
    fileprivate mutating func leaveFullLayersUnrotated() {
        guard attentions.contains(where: { $0.window != nil }) else { return }
        updateAttention { if $1.window == nil { $1.rope = nil } }
    }
}
