// The smallest GGUF file that has a model configuration, so that tests get one the way the program does.

public import ModelFiles
import TestSupport

extension FakeMeshDevice {
    /// The configuration of a model file whose only tensor is an embedding table of zeros.
    public static func modelConfig(contextLength: Int = 256, vocabularySize: Int = 61) throws -> ModelConfig {
        let folder = try TemporaryFolder()
        let path = try folder.write("fake.gguf", fakeModelFile(contextLength, vocabularySize))
        return try ModelBundle(path: path).config
    }

    private static func fakeModelFile(_ contextLength: Int, _ vocabularySize: Int) -> [UInt8] {
        let hiddenSize = 8
        let sizes = [
            "attention.head_count": 2, "embedding_length": hiddenSize, "feed_forward_length": 16, "block_count": 2,
            "context_length": contextLength,
        ]
        var file = GGUFBytes()
        file.bytes += Array("GGUF".utf8)
        file.append(UInt32(3))
        file.append(UInt64(1))
        file.append(UInt64(sizes.count + 2))
        file.append(key: "general.architecture", type: 8)
        file.append(text: "llama")
        for (key, size) in sizes {
            file.append(key: "llama." + key, type: 4)
            file.append(UInt32(size))
        }
        file.append(key: "llama.attention.layer_norm_rms_epsilon", type: 6)
        file.append(Float(1e-5).bitPattern)
        file.append(text: "token_embd.weight")
        file.append(UInt32(2))
        file.append(UInt64(hiddenSize))
        file.append(UInt64(vocabularySize))
        file.append(UInt32(0))
        file.append(UInt64(0))
        file.bytes += Array(repeating: 0, count: -file.bytes.count & 31)
        file.bytes += Array(repeating: 0, count: hiddenSize * vocabularySize * 4)
        return file.bytes
    }
}

/// Bytes in GGUF's little-endian encoding.
private struct GGUFBytes {
    var bytes: [UInt8] = []

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }

    mutating func append(text: String) {
        append(UInt64(text.utf8.count))
        bytes += Array(text.utf8)
    }

    mutating func append(key: String, type: UInt32) {
        append(text: key)
        append(type)
    }
}
