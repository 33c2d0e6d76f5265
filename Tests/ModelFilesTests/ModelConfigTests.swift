// The configuration and the description that a GGUF file's metadata give, and what is refused.

import ModelFileBuilders
import ModelFiles
import Testing

@Suite struct ModelConfigTests {
    private func bundle(_ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> ModelBundle {
        var builder = GGUFBuilder.llama
        change(&builder)
        return try withFile(builder.build()) { try ModelBundle(path: $0) }
    }

    private func rope(_ change: (inout GGUFBuilder) -> Void = { _ in }) throws -> RotaryEmbedding? {
        try bundle(change).description().attentions[0].rope
    }

    @Test func readsTheLlamaKeys() throws {
        let bundle = try bundle()
        let config = bundle.config
        #expect(config.architectures == ["LlamaForCausalLM"])
        #expect(config.hiddenSize == 8)
        #expect(config.intermediateSize == 16)
        #expect(config.layerCount == 1)
        #expect(config.attentionHeadCount == 2)
        #expect(config.keyValueHeadCount == 1)
        #expect(config.headSize == 4)
        #expect(config.vocabularySize == 16)
        #expect(config.contextLength == 64)
        #expect(try bundle.description().norm == ModelDescription.Norm(epsilon: 1e-5))
        #expect(try rope() == RotaryEmbedding(theta: 10_000, dimensions: 4, pairs: .neighbours))
        #expect(config.weightType == "F32")
        #expect(config.parameterCount == 128)
    }

    @Test func frequencyFactorsAreRead() throws {
        let divided = try rope { $0.addFloats("rope_freqs.weight", [2], [1, 8]) }
        #expect(divided?.scaling == .divisors([1, 8]))
        #expect(throws: ModelFileError.self) { try rope { $0.addFloats("rope_freqs.weight", [3], [1, 8, 8]) } }
        #expect(throws: ModelFileError.self) { try rope { $0.addFloats("rope_freqs.weight", [2], [1, 0]) } }
    }

    @Test(arguments: [
        "general.architecture", "llama.block_count", "llama.context_length", "llama.embedding_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon",
    ])
    func missingKeysAreNamed(key: String) throws {
        let error = #expect(throws: ModelFileError.self) { try bundle { $0.set(key, nil) }.description() }
        #expect(error?.description.contains(key) == true)
    }

    @Test func whatIsNotComputedIsRefused() {
        let changes: [(String, GGUFBuilder.Value)] = [
            ("general.architecture", .string("mamba")), ("llama.rope.scaling.type", .string("dynamic")),
            ("llama.expert_count", .uint32(8)), ("llama.attention.head_count_kv", .uint32(3)),
            ("llama.attention.head_count", .uint32(0)), ("llama.embedding_length", .uint32(16)),
            ("llama.rope.dimension_count", .uint32(3)), ("llama.rope.dimension_count", .uint32(6)),
            ("llama.attention.value_length", .uint32(8)), ("llama.block_count", .uint32(0)),
            ("llama.feed_forward_length", .uint64(1 << 62)), ("llama.context_length", .uint32(0)),
        ]
        for (key, value) in changes {
            #expect(throws: ModelFileError.self, "\(key)") { try bundle { $0.set(key, value) }.description() }
        }
    }
}
