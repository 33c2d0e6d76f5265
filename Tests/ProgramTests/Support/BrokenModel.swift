// Model files that are broken, each in its own way, made of one that is in order.

import Foundation
import ModelFiles
import Testing

/// A way to break a model file.
struct BrokenModel: CustomTestStringConvertible, Sendable {
    let name: String
    /// What the reason says of it.
    let words: String
    /// Number of attempts; a permanent error is not retried.
    let times: Int
    /// Puts the broken file where the good one was.
    let spoil: @Sendable (_ path: String, _ good: GGUFFile) throws -> Void

    var testDescription: String { name }

    /// The limit that `all` is written for, as `daemon.max_model_errors`.
    static let limit = 3

    static let all = [
        BrokenModel(name: "noNumbers", words: "has values that are not numbers", times: 1) { path, good in
            // 30 MB in the middle of a file of 98 MB.
            let size = good.file.bytes.count
            try overwrite(path, with: 0xff, size * 58 / 100..<size * 88 / 100)
        },
        BrokenModel(name: "matricesOfNoNumbers", words: "has values that are not numbers", times: 1) {
            path, good in
            try overwriteMatrices(path, good, with: 0xff)
        },
        BrokenModel(name: "zeros", words: "has no other values than 0", times: 1) { path, good in
            let data = good.tensors.values.map(\.offset).min()!
            try overwrite(path, with: 0, data..<good.file.bytes.count)
        },
        BrokenModel(name: "matricesOfZeros", words: "logits are all the same", times: limit) { path, good in
            try overwriteMatrices(path, good, with: 0)
        },
        BrokenModel(name: "cutShort", words: "reaches beyond the file's end", times: limit) { path, good in
            try #require(truncate(path, good.file.bytes.count / 2) == 0)
        },
        BrokenModel(name: "cutInTheHeader", words: "is incomplete", times: limit) { path, _ in
            try #require(truncate(path, 1000) == 0)
        },
        BrokenModel(name: "empty", words: "the file is empty", times: limit) { path, _ in
            try #require(truncate(path, 0) == 0)
        },
        BrokenModel(name: "noModel", words: "not a usable GGUF file", times: 1) { path, _ in
            try "{\"architectures\": [\"LlamaForCausalLM\"]}".write(toFile: path, atomically: true, encoding: .utf8)
        },
        BrokenModel(name: "gone", words: "does not exist", times: limit) { path, _ in
            try FileManager.default.removeItem(atPath: path)
        },
        BrokenModel(name: "aFolder", words: "no config.json", times: 1) { path, _ in
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        },
        BrokenModel(name: "anotherTensor", words: "tensor blk.0.unheard_of.weight is not supported", times: 1) {
            path, good in
            try addTensor("blk.0.unheard_of.weight", [32], to: path, good)
        },
        BrokenModel(name: "aBias", words: "tensor blk.0.attn_q.bias has shape [33]", times: 1) { path, good in
            try addTensor("blk.0.attn_q.bias", [33], to: path, good)
        },
        BrokenModel(name: "aMissingTensor", words: "tensor blk.0.ffn_up.weight is missing", times: 1) { path, _ in
            try replace("blk.0.ffn_up.weight", with: "blk.0.ffn_uq.weight", in: path)
        },
        BrokenModel(name: "anotherArchitecture", words: "architecture \"lxama\"", times: 1) { path, _ in
            let key = "general.architecture\u{8}\0\0\0\u{5}\0\0\0\0\0\0\0"
            try replace(key + "llama", with: key + "lxama", in: path)
        },
        BrokenModel(name: "anotherTokenizer", words: "tokenizer model \"gpt7\" is not supported", times: 1) { path, _ in
            let key = "tokenizer.ggml.model\u{8}\0\0\0\u{4}\0\0\0\0\0\0\0"
            try replace(key + "gpt2", with: key + "gpt7", in: path)
        },
    ]

    // MARK: Ways

    private static func overwrite(_ path: String, with byte: UInt8, _ place: Range<Int>) throws {
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.seek(toOffset: UInt64(place.lowerBound))
        try file.write(contentsOf: Data(repeating: byte, count: place.count))
        try file.close()
    }

    private static func overwriteMatrices(_ path: String, _ good: GGUFFile, with byte: UInt8) throws {
        for tensor in good.tensors.values where tensor.shape.count == 2 {
            try overwrite(path, with: byte, tensor.offset..<tensor.offset + tensor.bytes.count)
        }
    }

    /// Replaces something of the header by something as long.
    private static func replace(_ old: String, with new: String, in path: String) throws {
        try #require(old.utf8.count == new.utf8.count)
        let bytes = try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        let place = try #require(bytes.range(of: Data(old.utf8)))
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.seek(toOffset: UInt64(place.lowerBound))
        try file.write(contentsOf: Data(new.utf8))
        try file.close()
    }

    /// Adds a float tensor to the header, whose values are the first ones that there are.
    private static func addTensor(_ name: String, _ shape: [UInt64], to path: String, _ good: GGUFFile) throws {
        func entry(_ name: String, _ shape: [UInt64], _ type: UInt32, _ offset: UInt64) -> Data {
            var entry = Data()
            func append(_ value: some BitwiseCopyable) { withUnsafeBytes(of: value) { entry.append(contentsOf: $0) } }
            append(UInt64(name.utf8.count))
            entry.append(contentsOf: name.utf8)
            append(UInt32(shape.count))
            for size in shape { append(size) }
            append(type)
            append(offset)
            return entry
        }
        let bytes = Data(good.file.bytes)
        let data = good.tensors.values.map(\.offset).min()!
        let entries = good.tensors.values.map {
            entry($0.name, $0.shape.map(UInt64.init), $0.type.rawValue, UInt64($0.offset - data))
        }
        let places = try entries.map { try #require(bytes.range(of: $0)) }
        let end = places.map(\.upperBound).max()!
        var header = bytes[..<end] + entry(name, shape, 0, 0)
        withUnsafeBytes(of: UInt64(good.tensors.count + 1)) { header.replaceSubrange(8..<16, with: $0) }
        header.append(Data(count: (32 - header.count % 32) % 32))
        try (header + bytes[data...]).write(to: URL(filePath: path))
    }
}
