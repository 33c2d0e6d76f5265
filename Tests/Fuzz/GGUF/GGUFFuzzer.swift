// Fuzzes GGUF files: header, metadata and tensors, and the description of the model.

import Foundation
import Fuzzing
import ModelFileBuilders
import ModelFiles
import RandomModels

@main
enum GGUFFuzzer: Fuzzer {
    private static let file = InputFile("model.gguf")

    /// The header of each random model, without most of its vocabulary and weights.
    static func seeds() throws -> [String: [UInt8]] {
        var seeds: [String: [UInt8]] = ["llama": GGUFBuilder.llama.build()]
        for name in RandomModel.names {
            let model = try RandomModel(name)
            guard let path = model.gguf else { continue }
            seeds[name] = GGUFBuilder(headerOf: try GGUFFile(path: path)).build()
        }
        return seeds
    }

    static func test(_ input: UnsafeRawBufferPointer) throws {
        file.write(input)
        let bundle = try ModelBundle(path: file.path)
        bundle.touchWeights()
        _ = try bundle.description()
    }
}

extension GGUFBuilder {
    fileprivate init(headerOf file: GGUFFile) {
        self.init()
        for (key, value) in file.metadata.values.sorted(by: { $0.key < $1.key }) {
            guard let value = Value(value) else { continue }
            set(key, value)
        }
        for tensor in file.tensors.values.sorted(by: { $0.name < $1.name }) {
            // Of most tensors only the names matter to what is fuzzed.
            let isWhole = tensor.name == "token_embd.weight" || tensor.name.hasPrefix("rope_")
            let shape = isWhole ? tensor.shape : [tensor.type.blockElements]
            let count = shape.reduce(1, *) / tensor.type.blockElements * tensor.type.blockBytes
            let bytes = Array(tensor.bytes.prefix(count))
            tensors.append((tensor.name, tensor.type.rawValue, shape.map { UInt64($0) }, bytes))
        }
    }
}

extension GGUFBuilder.Value {
    fileprivate init?(_ value: MetadataValue) {
        switch value {
        case .integer(let number): self = .uint32(UInt32(clamping: number))
        case .float(let number): self = .float32(Float(number))
        case .bool(let flag): self = .bool(flag)
        case .string(let bytes): self = .string(String(decoding: bytes, as: UTF8.self))
        case .strings(let strings): self = .strings(strings.prefix(4).map { String(decoding: $0, as: UTF8.self) })
        case .integers(let numbers): self = .int32s(numbers.prefix(64).map { Int32(clamping: $0) })
        case .floats: return nil
        }
    }
}
