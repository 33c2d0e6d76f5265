// What a decoder computes, in short words.

import ModelFiles

extension ModelDescription {
    /// `window 512 in 15 of 18 layers`; `nil` if all layers see everything.
    var windowWords: String? {
        let windows = attentions.compactMap(\.window)
        guard let window = windows.first else { return nil }
        return "\(window) tokens in "
            + (windows.count == layers.count ? "all layers" : "\(windows.count) of \(layers.count) layers")
    }

    /// `base 10000, linear scaling; none in 9 of 36 layers`.
    var ropeWords: String {
        var kinds: [(words: String, count: Int)] = []
        for attention in attentions {
            let words = attention.rope.map { $0.words(headSize: attention.headSize) } ?? "none"
            if let index = kinds.firstIndex(where: { $0.words == words }) {
                kinds[index].count += 1
            } else {
                kinds.append((words, 1))
            }
        }
        if kinds.count == 1 { return kinds[0].words }
        return kinds.map { "\($0.words) in \($0.count) of \(layers.count) layers" }.joined(separator: "; ")
    }

    /// `RMS, before and after; of queries and keys`.
    func normWords(_ weights: ModelWeights) -> String {
        let kind = norm.kind == .rms ? "RMS" : "layer"
        func has(_ name: String) -> Bool { weights["blk.0.\(name).weight"] != nil }
        let (before, after) = (has("attn_norm") || has("ffn_norm"), has("post_attention_norm") || has("post_ffw_norm"))
        let place =
            switch (before, after) {
            case (true, true): "before and after attention and feed-forward"
            case (true, false):
                isParallel ? "one for attention and feed-forward in parallel" : "before attention and feed-forward"
            case (false, true): "after attention and feed-forward"
            case (false, false): "none in the layers"
            }
        return "\(kind), \(place)" + (has("attn_q_norm") ? ", of queries and keys" : "")
    }

    /// `SiLU with a gate`.
    func feedForwardWords(_ weights: ModelWeights) -> String? {
        guard case .dense(let dense)? = layers.first?.feedForward else { return nil }
        let activation =
            switch dense.activation {
            case .silu: "SiLU"
            case .gelu: "GELU"
            case .squaredReLU: "squared ReLU"
            }
        let hasGate =
            weights["blk.0.ffn_gate.weight"] != nil || weights["blk.0.ffn_up.weight"]?.shape.last == 2 * dense.width
        return "\(dense.width) wide, \(activation)" + (hasGate ? " with a gate" : "")
    }
}

extension RotaryEmbedding {
    /// `base 10000, half of each head, linear scaling`.
    fileprivate func words(headSize: Int) -> String {
        let base = "base " + (theta == theta.rounded() && theta < 1e9 ? "\(Int(theta))" : "\(theta)")
        let part = dimensions < headSize ? ", \(dimensions) of \(headSize) elements" : ""
        let change =
            switch scaling {
            case .none: ""
            case .linear(let factor): ", linear scaling by \(factor)"
            case .divisors: ", scaled by divisors of the file"
            case .llama3: ", Llama 3 scaling"
            case .yarn: ", YaRN"
            case .longRoPE: ", LongRoPE"
            }
        return base + part + change
    }
}
