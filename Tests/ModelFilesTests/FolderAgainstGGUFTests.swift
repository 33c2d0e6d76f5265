// A model in a Hugging Face folder is the same as the one that llama.cpp's converter made a GGUF file of.

import Foundation
import RandomModels
import Testing

@testable import ModelFiles

@Suite struct FolderAgainstGGUFTests {
    @Test(arguments: RandomModel.names) func descriptionsAndWeightsAreEqual(name: String) throws {
        let model = try RandomModel(name)
        guard let gguf = model.gguf else {
            _ = try ModelBundle(path: model.folder).description()
            return
        }
        let expected = try ModelBundle(path: gguf)
        for path in model.containers where !path.hasSuffix(".gguf") {
            let bundle = try ModelBundle(path: path)
            var warnings: [String] = []
            expect(try bundle.description(warnings: &warnings), equals: try expected.description(), path)
            #expect(warnings.isEmpty, "\(path)")
            try expect(bundle, equals: expected, path)
            try bundle.weights.checkUnchanged()
        }
    }

    /// Each container is there for at least one model.
    @Test func everyContainerIsTried() throws {
        let models = try RandomModel.names.map { try RandomModel($0) }
        #expect(models.count { $0.gguf != nil } > 20)
        let paths = models.flatMap { model in model.containers.map { $0.dropFirst(model.folder.count) } }
        for container in [
            "", "/sharded", "/multimodal", "/multimodal-model-first", "/multimodal/transformers-4.51",
            "/transformers-4.51",
            "/transformers-4.57",
        ] {
            #expect(paths.contains { $0 == container }, "\(container)")
        }
    }

    private func expect(_ found: ModelDescription, equals expected: ModelDescription, _ path: String) {
        var (found, expected) = (found, expected)
        for (one, other) in zip(ropes(of: found), ropes(of: expected)) {
            #expect((one == nil) == (other == nil), "\(path)")
            guard let one, let other else { continue }
            #expect(one.dimensions == other.dimensions && one.theta == other.theta, "\(path)")
            #expect(abs(one.magnitude - other.magnitude) < 1e-6, "\(path)")
            for length in [1, 1 << 20] {
                let pairs = zip(
                    one.frequencies(maxSequenceLength: length), other.frequencies(maxSequenceLength: length))
                for (frequency, wanted) in pairs {
                    #expect(abs(frequency - wanted) <= 1e-6 * wanted, "\(path): \(frequency) instead of \(wanted)")
                }
            }
        }
        #expect(found.norm.weightOffset == 0 || found.norm.weightOffset == 1)
        for description in [0, 1] {
            func neutral(_ value: inout ModelDescription) {
                value.norm.weightOffset = 0
                value.updateAttention { $1.rope = nil }
            }
            if description == 0 { neutral(&found) } else { neutral(&expected) }
        }
        #expect(found == expected, "\(path)")
    }

    private func ropes(of description: ModelDescription) -> [RotaryEmbedding?] {
        description.attentions.map(\.rope)
    }

    private func expect(_ found: ModelBundle, equals expected: ModelBundle, _ path: String) throws {
        let computed = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"]
        let names = Set(expected.weights.tensors.keys).subtracting(computed)
        #expect(Set(found.weights.tensors.keys) == names, "\(path)")
        let family = try #require(
            ModelFamily.all.first { $0.classes.contains(expected.config.architectures[0]) })
        let description = try found.description()
        for name in names {
            guard let one = found.weights[name], let other = expected.weights[name] else { continue }
            #expect(one.shape == other.shape, "\(path): \(name)")
            let isHeads = name.contains(".attn_q.") || name.contains(".attn_k.")
            var wanted = floats(of: other)
            if isHeads, family.pairs != family.pairsInGGUF {
                wanted = ungrouped(wanted, rows: other.shape.last!, headSize: found.config.headSize)
            }
            let offset = name.hasSuffix("norm.weight") ? description.norm.weightOffset : 0
            #expect(floats(of: one).map { $0 + offset } == wanted, "\(path): \(name)")
        }
        var (config, wanted) = (found.config, expected.config)
        for name in [\ModelConfig.name, \.path, \.weightType] {
            (config[keyPath: name], wanted[keyPath: name]) = ("", "")
        }
        (config.architectures, wanted.architectures, config.parameterCount, wanted.parameterCount) = ([], [], 0, 0)
        if family.name == "hunyuan-dense" {
            // The converter writes the base that the alpha makes, and the context that it knows by heart.
            (config.ropeTheta, wanted.ropeTheta, config.contextLength, wanted.contextLength) = (0, 0, 0, 0)
        }
        #expect(config == wanted, "\(path)")
        #expect(family.classes.contains(found.config.architectures[0]), "\(path)")
    }

    /// The rows of heads in transformers' order: converters put those that are rotated together side by side.
    private func ungrouped(_ values: [Float], rows: Int, headSize: Int) -> [Float] {
        let width = values.count / rows
        var result = values
        for row in 0..<rows {
            let (head, place) = row.quotientAndRemainder(dividingBy: headSize)
            let source = head * headSize + place % (headSize / 2) * 2 + place / (headSize / 2)
            result.replaceSubrange(row * width..<(row + 1) * width, with: values[source * width..<(source + 1) * width])
        }
        return result
    }

    private func floats(of tensor: MappedTensor) -> [Float] {
        (0..<tensor.elementCount).map { index in
            switch tensor.type {
            case .f32: tensor.bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            case .f16: Float(tensor.bytes.loadUnaligned(fromByteOffset: 2 * index, as: Float16.self))
            case .bf16:
                Float(bitPattern: UInt32(tensor.bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
            default: .nan
            }
        }
    }
}
