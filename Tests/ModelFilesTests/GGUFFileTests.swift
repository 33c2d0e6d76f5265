// Reading GGUF files: the contents of valid files, and that no damaged file crashes or misleads the reader.

import Foundation
import ModelFileBuilders
import ModelFiles
import Testing

@Suite struct GGUFFileTests {
    @Test func readsMetadataAndTensors() throws {
        try withFile(GGUFBuilder.llama.build()) { path in
            let file = try GGUFFile(path: path)
            #expect(file.metadata.string("general.architecture") == "llama")
            #expect(file.metadata.integer("llama.feed_forward_length") == 16)
            #expect(file.metadata.bool("flag") == true)
            #expect(file.metadata["numbers"] == .integers([-1, 2, 3]))
            #expect(file.metadata["tokenizer.ggml.tokens"] == .strings((0..<16).map { Array("t\($0)".utf8) }))
            let tensor = try file.tensor("token_embd.weight")
            #expect(tensor.type == .f32)
            #expect(tensor.shape == [8, 16])
            #expect(tensor.bytes.count == 512)
            #expect(tensor.bytes.loadUnaligned(fromByteOffset: 508, as: Float.self) == 0.5)
            #expect(throws: ModelFileError.missingTensor(path: path, name: "nope")) { try file.tensor("nope") }
        }
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = GGUFBuilder.llama.build()
        for length in 0..<bytes.count {
            try withFile(Array(bytes[..<length])) { path in
                #expect(throws: ModelFileError.self, "cut to \(length) bytes") { try GGUFFile(path: path) }
            }
        }
    }

    /// A changed byte may leave a readable file; then all its tensors must lie inside it.
    @Test func changedBytesNeverCrash() throws {
        var bytes = GGUFBuilder.llama.build()
        let header = bytes.count - 512
        var readable = 0
        try withFile(bytes) { path in
            for place in 0..<header {
                for change: UInt8 in [0x01, 0x80, 0xff] {
                    bytes[place] ^= change
                    try Data(bytes).write(to: URL(fileURLWithPath: path))
                    bytes[place] ^= change
                    guard let file = try? GGUFFile(path: path) else { continue }
                    readable += 1
                    _ = try? ModelBundle(path: path).description()
                    let last = UnsafeRawPointer(file.file.bytes.baseAddress!) + file.file.bytes.count
                    if file.tensors.values.contains(where: { $0.bytes.baseAddress! + $0.bytes.count > last }) {
                        Issue.record("byte \(place) changed by \(change): a tensor lies outside the file")
                    }
                }
            }
        }
        #expect(readable > 0)
    }

    @Test(arguments: [
        (UInt32(1), "version 1 instead of 2 or 3"), (4, "version 4 instead of 2 or 3"),
        (0, "version 0 instead of 2 or 3"),
        (UInt32(3).byteSwapped, "it is big-endian"),
    ])
    func otherVersionsAreRefused(version: UInt32, reason: String) throws {
        var builder = GGUFBuilder.llama
        builder.version = version
        try withFile(builder.build()) { path in
            #expect(throws: ModelFileError.notGGUF(path: path, reason: reason)) { try GGUFFile(path: path) }
        }
    }

    @Test func version2IsReadAsVersion3() throws {
        var builder = GGUFBuilder.llama
        let wanted = try withFile(builder.build()) { try GGUFFile(path: $0).metadata.values }
        builder.version = 2
        try withFile(builder.build()) { path in
            let file = try GGUFFile(path: path)
            #expect(file.metadata.values == wanted && file.tensors.count == 1)
        }
    }

    @Test(arguments: [
        (UInt32(99), "99"), (40, "NVFP4 (40)"), (41, "Q1_0 (41)"), (28, "F64 (28)"), (31, "Q4_0_4_4 (31)"),
    ])
    func otherTensorTypesAreNamed(type: UInt32, name: String) throws {
        var builder = GGUFBuilder.llama
        builder.tensors.append(("odd", type, [32], Array(repeating: 0, count: 32)))
        try withFile(builder.build()) { path in
            #expect(throws: ModelFileError.unsupported(path: path, what: "tensor odd's element type \(name)")) {
                try GGUFFile(path: path)
            }
        }
    }

    /// Every type that is read, under ggml's name and with its block; other numbers are none.
    @Test func tensorTypesHaveTheirNamesAndBlocks() throws {
        let types = """
            0 F32 1 4, 1 F16 1 2, 2 Q4_0 32 18, 3 Q4_1 32 20, 6 Q5_0 32 22, 7 Q5_1 32 24, 8 Q8_0 32 34, 10 Q2_K 256 84,
            11 Q3_K 256 110, 12 Q4_K 256 144, 13 Q5_K 256 176, 14 Q6_K 256 210, 16 IQ2_XXS 256 66, 17 IQ2_XS 256 74,
            18 IQ3_XXS 256 98, 19 IQ1_S 256 50, 20 IQ4_NL 32 18, 21 IQ3_S 256 110, 22 IQ2_S 256 82, 23 IQ4_XS 256 136,
            29 IQ1_M 256 56, 30 BF16 1 2, 34 TQ1_0 256 54, 35 TQ2_0 256 66, 39 MXFP4 32 17
            """
        let found = (UInt32(0)..<100).compactMap(TensorType.init(rawValue:)).map {
            "\($0.rawValue) \($0.name) \($0.blockElements) \($0.blockBytes)"
        }
        #expect(found == types.split(separator: ",").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) })
    }

    @Test func alignmentOfTheFileIsHonoured() throws {
        var builder = GGUFBuilder.llama
        builder.alignment = 256
        builder.set("general.alignment", .uint32(256))
        builder.addFloats("second", [1], [7])
        try withFile(builder.build()) { path in
            let tensor = try GGUFFile(path: path).tensor("second")
            #expect(tensor.bytes.loadUnaligned(as: Float.self) == 7)
        }
    }

    @Test func duplicatesAreErrors() throws {
        var keys = GGUFBuilder.llama
        keys.metadata.append(("flag", .bool(false)))
        var names = GGUFBuilder.llama
        names.addFloats("token_embd.weight", [8], Array(repeating: 1, count: 8))
        for builder in [keys, names] {
            try withFile(builder.build()) { path in
                #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
            }
        }
    }

    @Test func whatIsNoFileIsUnreadable() throws {
        for path in ["/nonexistent/model.gguf", "/"] {
            let error = #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
            #expect(error?.description.hasPrefix(path) == true)
        }
        try withFile([]) { path in
            #expect(throws: ModelFileError.unreadable(path: path, reason: "the file is empty")) {
                try GGUFFile(path: path)
            }
        }
    }
}
