// The usual names of the tensors of Hugging Face folders.

/// Translates the tensors' names in safetensors files.
struct TensorNames: Sendable {
    /// What becomes of a tensor.
    enum Meaning: Equatable {
        /// It is a weight with this usual name.
        case weight(String)
        /// It is none of the text model's: a picture or sound encoder's, or computed from the configuration.
        case ignored
        /// It is not known.
        case unknown
    }

    /// The family's own names of parts of a layer.
    let family: ModelFamily
    /// The folder's model reads pictures or sound too.
    let isComposite: Bool

    /// What the tensor `name` is.
    func meaning(of name: String) -> Meaning {
        if Self.isComputed(name) || isComposite && Self.encoders.contains(where: name.hasPrefix) { return .ignored }
        for suffix in [".weight", ".bias"] where name.hasSuffix(suffix) {
            guard let module = usualModule(String(name.dropLast(suffix.count))) else { break }
            return .weight(module + suffix)
        }
        return .unknown
    }

    private func usualModule(_ name: String) -> String? {
        var name = Substring(name)
        // What the text model is called inside its class.
        for prefix in ["language_model.model.", "model.language_model.", "language_model.", "model."] {
            guard name.hasPrefix(prefix) else { continue }
            name = name.dropFirst(prefix.count)
            break
        }
        if let name = Self.outside[String(name)] { return name }
        let parts = name.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "layers", let layer = Int(parts[1]), parts[1] == "\(layer)", layer >= 0,
            let part = family.tensorNames[String(parts[2])] ?? Self.inside[String(parts[2])]
        else { return nil }
        return "blk.\(layer).\(part)"
    }

    /// Rotary frequencies are computed from the configuration, though older files contain them.
    private static func isComputed(_ name: String) -> Bool { name.hasSuffix(".rotary_emb.inv_freq") }

    /// What the tensors of encoders begin with.
    private static let encoders = ["vision_tower.", "multi_modal_projector."].flatMap { [$0, "model." + $0] }

    /// The modules outside the layers.
    private static let outside = ["embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"]

    /// The modules of a layer, in most families.
    private static let inside = [
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.qkv_proj": "attn_qkv",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "self_attn.query_layernorm": "attn_q_norm",
        "self_attn.key_layernorm": "attn_k_norm",
        "post_attention_layernorm": "ffn_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_self_attn_layernorm": "post_attention_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.gate_up_proj": "ffn_up",
        "mlp.c_fc": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "mlp.c_proj": "ffn_down",
        "post_feedforward_layernorm": "post_ffw_norm",
        "post_mlp_layernorm": "post_ffw_norm",
    ]
}
