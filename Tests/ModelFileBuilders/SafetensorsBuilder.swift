// Writes small safetensors files in memory, good and bad.

/// Bytes of a safetensors file in the making. Tensors lie one after the other, in the order in which they were added.
package struct SafetensorsBuilder {
    /// A tensor's entry in the header, as JSON, by its name.
    package var entries: [(name: String, entry: String)] = []
    package var data: [UInt8] = []
    /// The header's text, if it is not that of the entries.
    package var header: String?
    /// The header's length, if it is not the true one.
    package var length: UInt64?

    /// A file without tensors.
    package init() {}

    /// The tensors of a tiny llama: 8 wide, 2 layers, 16 tokens.
    package static var llama: SafetensorsBuilder {
        var builder = SafetensorsBuilder()
        for (name, shape) in llamaTensors { builder.add(name, "BF16", shape, bytesEach: 2) }
        return builder
    }

    /// Their names and shapes.
    package static let llamaTensors: [(name: String, shape: [Int])] = {
        var tensors = [
            ("model.embed_tokens.weight", [16, 8]), ("model.norm.weight", [8]), ("lm_head.weight", [16, 8]),
        ]
        for layer in 0..<2 {
            let parts = [
                ("input_layernorm", [8]), ("post_attention_layernorm", [8]), ("self_attn.q_proj", [8, 8]),
                ("self_attn.k_proj", [4, 8]), ("self_attn.v_proj", [4, 8]), ("self_attn.o_proj", [8, 8]),
                ("mlp.gate_proj", [16, 8]), ("mlp.up_proj", [16, 8]), ("mlp.down_proj", [8, 16]),
            ]
            tensors += parts.map { ("model.layers.\(layer).\($0.0).weight", $0.1) }
        }
        return tensors
    }()

    /// Adds a tensor of zeros; `shape` is outermost first.
    package mutating func add(_ name: String, _ type: String = "F32", _ shape: [Int], bytesEach: Int = 4) {
        let count = shape.reduce(1, *) * bytesEach
        add(name, type, shape, Array(repeating: 0, count: count))
    }

    package mutating func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) {
        entries.append(
            (
                name,
                #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[\#(data.count),\#(data.count + bytes.count)]}"#
            ))
        data += bytes
    }

    /// The file's bytes.
    package func build() -> [UInt8] {
        let text = header ?? "{" + entries.map { "\"\($0.name)\":\($0.entry)" }.joined(separator: ",") + "}"
        return withUnsafeBytes(of: (length ?? UInt64(text.utf8.count)).littleEndian, Array.init) + Array(text.utf8)
            + data
    }
}
