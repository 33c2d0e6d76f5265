// Packing: what is refused, and what float weights become on the way.

import CHostKernels
import ModelFiles
import Testing

@testable import HostDevice

@Suite struct PackingTests {
    /// A scale of every type that is no number, in a row of another panel than the first, with two threads.
    @Test(arguments: BlockType.all)
    func aWeightThatIsNoNumberIsFound(block: BlockType) throws {
        let (inputs, outputs) = (512, 70)
        let clean = block.rows(outputs, inputs: inputs)
        #expect(throws: Never.self) { try pack(block.type, clean, inputs, outputs) }
        for (place, spoilt) in spoiltScales(block.type) {
            let index = 33 * 512 / block.type.blockElements + 1
            var bytes = clean
            let start = index * block.type.blockBytes
            for (offset, byte) in zip(place, spoilt) { bytes[start + offset] = byte }
            #expect(throws: PackedRows.Fault.notFinite(place: start)) {
                try pack(block.type, bytes, inputs, outputs)
            }
            // The first one is named, whichever thread finds which.
            for (offset, byte) in zip(place, spoilt) { bytes[offset + 2 * block.type.blockBytes] = byte }
            #expect(throws: PackedRows.Fault.notFinite(place: 2 * block.type.blockBytes)) {
                try pack(block.type, bytes, inputs, outputs)
            }
        }
    }

    /// Bytes of a block, and values for them, that make a weight of it infinite or NaN.
    private func spoiltScales(_ type: TensorType) -> [(place: [Int], bytes: [UInt8])] {
        func halves(_ places: Int...) -> [(place: [Int], bytes: [UInt8])] {
            places.flatMap { place in
                [[0x00, 0x7c], [0x01, 0x7c], [0x00, 0xfc], [0xff, 0xff]].map { ([place, place + 1], $0) }
            }
        }
        switch type {
        case .f32: return [([0, 1, 2, 3], [0, 0, 0x80, 0x7f]), ([0, 1, 2, 3], [0, 0, 0xc0, 0xff])]
        case .bf16: return [([0, 1], [0x80, 0x7f]), ([0, 1], [0xc0, 0xff])]
        case .q4_1, .q5_1, .q4_K, .q5_K: return halves(0, 2)
        case .q2_K: return halves(80, 82)
        case .q3_K: return halves(108)
        case .q6_K: return halves(208)
        case .tq1_0: return halves(52)
        case .tq2_0: return halves(64)
        case .iq1_M: return [([53, 55], [0xc0, 0x70]), ([53, 55], [0xff, 0xff])]
        case .mxfp4: return [([0], [0xff]), ([0], [253])]
        case .f16, .q4_0, .q5_0, .q8_0, .iq2_XXS, .iq2_XS, .iq2_S, .iq3_XXS, .iq3_S, .iq1_S, .iq4_NL, .iq4_XS:
            return halves(0)
        }
    }

    /// Rows that are quantised while they are packed are what packing their blocks gives, in either mode.
    @Test(arguments: [TensorType.f32, .f16, .bf16], Quantization.allCases)
    func quantizedFloatsArePackedLikeTheirBlocks(type: TensorType, quantization: Quantization) throws {
        let (inputs, outputs) = (416, 75)
        let weights = BlockType(type: type).rows(outputs, inputs: inputs)
        var blocks = [UInt8](
            repeating: 0, count: outputs * inputs / 32 * quantization.type.blockBytes)
        let count = inputs * outputs
        #expect(hk_quantize_row(type.rawValue, weights, count, quantization.type.rawValue, &blocks) == count)
        for int8 in [false, true] {
            let found = try pack(type, weights, inputs, outputs, int8: int8, quantization)
            let expected = try pack(quantization.type, blocks, inputs, outputs, int8: int8)
            #expect(found.takesInt8 == int8)
            #expect(values(of: found) == values(of: expected))
        }
    }

    @Test func rowsThatAreNoWholeBlocksStayFloats() throws {
        let rows = BlockType(type: .bf16).rows(40, inputs: 100)
        let matrix = try pack(.bf16, rows, 100, 40, int8: true, .q8_0)
        #expect(!matrix.takesInt8)
        #expect(values(of: matrix) == values(of: try pack(.bf16, rows, 100, 40)))
    }

    @Test func quantizedTypesAreNotQuantizedAgain() throws {
        let rows = BlockType(type: .q6_K).rows(40, inputs: 256)
        #expect(values(of: try pack(.q6_K, rows, 256, 40, .q4_0)) == values(of: try pack(.q6_K, rows, 256, 40)))
    }

    @Test(arguments: Quantization.allCases)
    func weightsBeyondTheScalesAreNamed(quantization: Quantization) throws {
        var weights = [Float](repeating: 1, count: 70 * 128)
        weights[40 * 128 + 75] = -1e9
        let bytes = weights.withUnsafeBytes(Array.init)
        #expect(throws: PackedRows.Fault.tooLarge(place: (40 * 128 + 64) * 4)) {
            try pack(.f32, bytes, 128, 70, quantization)
        }
        #expect(throws: Never.self) { try pack(.f32, bytes, 128, 70) }
    }

    private func pack(
        _ type: TensorType, _ bytes: [UInt8], _ inputs: Int, _ outputs: Int, int8: Bool = true,
        _ quantization: Quantization? = nil
    ) throws -> PackedMatrix {
        try bytes.withUnsafeBytes {
            let rows = PackedRows(
                type: type, bytes: $0, inputs: inputs, outputs: outputs, quantization: quantization)
            return try PackedMatrix(rows, int8: int8, pool: ThreadPool(threadCount: 2))
        }
    }

    private func values(of matrix: PackedMatrix) -> [UInt8] {
        Array(UnsafeBufferPointer(start: matrix.descriptor.pointee.values, count: matrix.layout.byteCount))
    }
}
