// Writes small GGUF files in memory, good and bad.

/// Bytes of a GGUF version 3 file in the making.
package struct GGUFBuilder {
    /// A metadata value as it is written.
    package enum Value {
        case uint16(UInt16)
        case uint32(UInt32)
        case int32(Int32)
        case uint64(UInt64)
        case float32(Float)
        case bool(Bool)
        case string(String)
        case strings([String])
        case int32s([Int32])
    }

    package var metadata: [(key: String, value: Value)] = []
    package var tensors: [(name: String, type: UInt32, shape: [UInt64], bytes: [UInt8])] = []
    package var version: UInt32 = 3
    package var alignment = 32

    /// A file without keys and tensors.
    package init() {}

    /// A complete tiny llama without weights worth running: 8 wide, 1 layer, 16 tokens.
    package static var llama: GGUFBuilder {
        var builder = GGUFBuilder()
        builder.metadata = [
            ("general.architecture", .string("llama")), ("llama.block_count", .uint32(1)),
            ("llama.context_length", .uint32(64)), ("llama.embedding_length", .uint32(8)),
            ("llama.feed_forward_length", .uint64(16)), ("llama.attention.head_count", .uint32(2)),
            ("llama.attention.head_count_kv", .uint32(1)),
            ("llama.attention.layer_norm_rms_epsilon", .float32(1e-5)), ("llama.rope.freq_base", .float32(10_000)),
            ("tokenizer.ggml.tokens", .strings((0..<16).map { "t\($0)" })), ("flag", .bool(true)),
            ("numbers", .int32s([-1, 2, 3])),
        ]
        builder.addFloats("token_embd.weight", [8, 16], Array(repeating: 0.5, count: 128))
        return builder
    }

    package mutating func addFloats(_ name: String, _ shape: [UInt64], _ values: [Float]) {
        tensors.append((name, 0, shape, values.withUnsafeBytes(Array.init)))
    }

    package mutating func set(_ key: String, _ value: Value?) {
        metadata.removeAll { $0.key == key }
        if let value { metadata.append((key, value)) }
    }

    /// The file's bytes.
    package func build() -> [UInt8] {
        var out: [UInt8] = Array("GGUF".utf8)
        append(version, &out)
        append(UInt64(tensors.count), &out)
        append(UInt64(metadata.count), &out)
        for (key, value) in metadata {
            append(key, &out)
            append(value, &out)
        }
        var offset = 0
        for tensor in tensors {
            append(tensor.name, &out)
            append(UInt32(tensor.shape.count), &out)
            for size in tensor.shape { append(size, &out) }
            append(tensor.type, &out)
            append(UInt64(offset), &out)
            offset = padded(offset + tensor.bytes.count)
        }
        for tensor in tensors {
            out += Array(repeating: 0, count: padded(out.count) - out.count)
            out += tensor.bytes
        }
        return out
    }

    private func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    private func append(_ value: some FixedWidthInteger, _ out: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { out += $0 }
    }

    private func append(_ text: String, _ out: inout [UInt8]) {
        append(UInt64(text.utf8.count), &out)
        out += text.utf8
    }

    private func append(_ value: Value, _ out: inout [UInt8]) {
        switch value {
        case .uint16(let number): append(UInt32(2), &out); append(number, &out)
        case .int32(let number): append(UInt32(5), &out); append(number, &out)
        case .uint32(let number): append(UInt32(4), &out); append(number, &out)
        case .uint64(let number): append(UInt32(10), &out); append(number, &out)
        case .float32(let number): append(UInt32(6), &out); append(number.bitPattern, &out)
        case .bool(let flag): append(UInt32(7), &out); append(UInt8(flag ? 1 : 0), &out)
        case .string(let text): append(UInt32(8), &out); append(text, &out)
        case .strings(let texts):
            append(UInt32(9), &out); append(UInt32(8), &out); append(UInt64(texts.count), &out)
            for text in texts { append(text, &out) }
        case .int32s(let numbers):
            append(UInt32(9), &out); append(UInt32(5), &out); append(UInt64(numbers.count), &out)
            for number in numbers { append(number, &out) }
        }
    }
}
