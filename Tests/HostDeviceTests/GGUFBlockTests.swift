// Blocks of every quantised GGUF type, read and written as the gguf package does, bit by bit.

import CHostKernels
import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import HostDevice

@Suite struct GGUFBlockTests {
    @Test func blocksReadAsTheGGUFPackageReadsThem() throws {
        struct Entry: Decodable {
            let type: UInt32
            let blocks: String
            let weights: String
            let count: Int
            let digest: String
        }
        let file = Locations.beside("Golden/gguf-blocks.json")
        let entries = try JSONDecoder().decode([Entry].self, from: Data(contentsOf: file))
        let quantized = TensorType.allCases.filter { $0.blockElements > 1 }.map(\.rawValue)
        #expect(entries.map(\.type).sorted() == quantized.sorted())
        for entry in entries {
            let type = try #require(TensorType(rawValue: entry.type))
            let expected = bytes(entry.weights).withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) }
            #expect(expected.count == 256)
            #expect(read(type, bytes(entry.blocks)).map(\.bitPattern) == expected, "\(type.name)")
            let many = read(type, BlockType(type: type).rows(1, inputs: entry.count))
            #expect(digest(many) == entry.digest, "\(type.name)")
        }
    }

    /// The first weights of a row, as many as are asked for.
    @Test(arguments: BlockType.all)
    func rowsMayEndWithinAGroup(block: BlockType) {
        let bytes = block.rows(1, inputs: 256)
        let whole = read(block.type, bytes)
        for count in [1, 15, 17, 33, 250] {
            var some = [Float](repeating: .infinity, count: count + 1)
            hk_gguf_row(block.type.rawValue, bytes, count, &some)
            #expect(some == whole[..<count] + [.infinity])
        }
    }

    @Test func floatsBecomeTheBlocksThatTheGGUFPackageMakes() throws {
        struct Golden: Decodable {
            let rows: String
            let Q8_0: String
            let Q4_0: String
        }
        let file = Locations.beside("Golden/gguf-quantized.json")
        let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
        let rows = bytes(golden.rows)
        for (quantization, expected) in [(Quantization.q8_0, golden.Q8_0), (.q4_0, golden.Q4_0)] {
            var out = [UInt8](repeating: 0, count: bytes(expected).count)
            let count = rows.count / 4
            #expect(hk_quantize_row(0, rows, count, quantization.type.rawValue, &out) == count)
            #expect(out == bytes(expected), "\(quantization)")
        }
    }

    /// BF16 and F16 rows become what the same floats become.
    @Test(arguments: [TensorType.f16, .bf16], Quantization.allCases)
    func halvesAreQuantizedAsTheirFloats(type: TensorType, quantization: Quantization) {
        let halves = BlockType(type: type).rows(1, inputs: 4096)
        let floats = read(type, halves)
        var found = [UInt8](repeating: 0, count: 128 * quantization.type.blockBytes)
        var expected = found
        #expect(hk_quantize_row(type.rawValue, halves, 4096, quantization.type.rawValue, &found) == 4096)
        #expect(hk_quantize_row(0, floats, 4096, quantization.type.rawValue, &expected) == 4096)
        #expect(found == expected)
    }

    @Test(arguments: Quantization.allCases)
    func weightsBeyondTheScalesAreFound(quantization: Quantization) {
        var row = [Float](repeating: 1, count: 128)
        row[70] = 1e8
        var out = [UInt8](repeating: 0, count: 4 * quantization.type.blockBytes)
        #expect(hk_quantize_row(0, row, 128, quantization.type.rawValue, &out) == 64)
    }

    private func read(_ type: TensorType, _ blocks: [UInt8]) -> [Float] {
        let count = blocks.count / type.blockBytes * type.blockElements
        return [Float](unsafeUninitializedCapacity: count) { floats, initialized in
            hk_gguf_row(type.rawValue, blocks, count, floats.baseAddress!)
            initialized = count
        }
    }

    /// FNV-1a over 32-bit words.
    private func digest(_ values: [Float]) -> String {
        let state = values.withUnsafeBufferPointer { values in
            var state: UInt64 = 14_695_981_039_346_656_037
            for value in values { state = (state ^ UInt64(value.bitPattern)) &* 1_099_511_628_211 }
            return state
        }
        let digits = String(state, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)!
        }
    }
}
