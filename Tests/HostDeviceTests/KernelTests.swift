// Kernels against naive references, and every instruction set against the portable one.

import CHostKernels
import ModelFiles
import TestSupport
import Testing

@testable import HostDevice

@Suite struct KernelTests {
    @Test(arguments: BlockType.all)
    func floatProductsAreFusedChains(block: BlockType) throws {
        let (inputs, outputs) = (block.type.blockElements == 1 ? 300 : block.type.blockElements == 32 ? 800 : 768, 45)
        let bytes = block.rows(outputs, inputs: inputs)
        let matrix = try pack(block, bytes, inputs, outputs, int8: false)
        var random = SmallRandom(seed: 3)
        let x = random.floats(14 * inputs)
        var expected = [Float](repeating: 0, count: 14 * outputs)
        var weights = [Float](repeating: 0, count: inputs)
        for output in 0..<outputs {
            bytes.withUnsafeBytes { rows in
                let row = rows.baseAddress! + output * (bytes.count / outputs)
                hk_gguf_row(block.type.rawValue, row, inputs, &weights)
            }
            for row in 0..<14 {
                var sum: Float = 0
                for i in 0..<inputs { sum = sum.addingProduct(x[row * inputs + i], weights[i]) }
                expected[row * outputs + output] = sum
            }
        }
        for set in KernelSet.available {
            for rows in 1...14 {
                let y = multiply(set, matrix, x, rows: rows)
                #expect(y == Array(expected[..<(rows * outputs)]), "\(set.name), \(rows) rows")
            }
        }
    }

    @Test(arguments: BlockType.all.filter { $0.type.blockElements > 1 })
    func int8ProductsAreNearAndEqualOnAllInstructionSets(block: BlockType) throws {
        // More groups than are unpacked at a time, the last block not whole, and more rows than a tile has.
        let (inputs, outputs) = (block.type.blockElements == 32 ? 1056 : 1024, 45)
        let bytes = block.rows(outputs, inputs: inputs)
        let matrix = try pack(block, bytes, inputs, outputs, int8: true)
        #expect(matrix.takesInt8)
        var random = SmallRandom(seed: 4)
        let x = random.floats(9 * inputs)
        let exact = try multiply(.portable, pack(block, bytes, inputs, outputs, int8: false), x, rows: 9)
        let expected = try multiplyInt8(.portable, matrix, x, rows: 9)
        let coarsest = try multiplyInt8(.portable, matrix, x, rows: 9, peak: HK_INT7_PEAK)
        let size = (exact.map { $0 * $0 }.reduce(0, +) / Float(exact.count)).squareRoot()
        let worst = zip(exact, expected).map { abs($0 - $1) }.max()!
        #expect(worst < 0.05 * size)
        for set in KernelSet.available {
            for rows in 1...9 {
                let y = try multiplyInt8(set, matrix, x, rows: rows)
                #expect(y == Array(expected[..<(rows * outputs)]), "\(set.name), \(rows) rows")
                let coarse = try multiplyInt8(set, matrix, x, rows: rows, peak: HK_INT7_PEAK)
                #expect(coarse == Array(coarsest[..<(rows * outputs)]), "\(set.name), \(rows) rows of 7 bits")
            }
        }
    }

    /// Scales and minimums as integers: an input of 1 alone gives a weight itself.
    @Test(arguments: BlockType.all.filter { [.q4_0, .q4_1, .q4_K].contains($0.type) })
    func integerScalesAreNear(block: BlockType) throws {
        let (inputs, outputs) = (256, 7)
        let bytes = block.rows(outputs, inputs: inputs)
        let matrix = try pack(block, bytes, inputs, outputs, int8: true)
        let x = (0..<inputs).flatMap { place in (0..<inputs).map { $0 == place ? Float(1) : 0 } }
        let y = try multiplyInt8(.available[0], matrix, x, rows: inputs)
        var weights = [Float](repeating: 0, count: inputs)
        for output in 0..<outputs {
            bytes.withUnsafeBytes {
                hk_gguf_row(block.type.rawValue, $0.baseAddress! + output * (bytes.count / outputs), inputs, &weights)
            }
            let greatest = weights.map(abs).max()!
            let worst = (0..<inputs).map { abs(y[$0 * outputs + output] - weights[$0]) }.max()!
            #expect(worst <= 0x1p-13 * greatest)
        }
    }

    /// Blocks whose integer sums are as great as they get, of either sign.
    @Test func integerSumsHoldTheGreatestBlocks() throws {
        // f16 scales and minimums: 15 scales nearly a power of two, from 0 and from below; a minimum alone.
        let rows: [(scale: UInt16, minimum: UInt16)] = [(0x3044, 0), (0x3044, 0xb844), (0, 0x3fff), (0x3bff, 0xc77f)]
        let block = BlockType(type: .q4_1)
        var bytes: [UInt8] = []
        for row in rows {
            for _ in 0..<4 {
                for half in [row.scale, row.minimum] { bytes += [UInt8(half & 255), UInt8(half >> 8)] }
                bytes += [UInt8](repeating: 0xff, count: 16)
            }
        }
        let x = [Float](repeating: 1, count: 128) + [Float](repeating: -1, count: 128)
        let exact = try multiply(.portable, pack(block, bytes, 128, rows.count, int8: false), x, rows: 2)
        for set in KernelSet.available {
            let y = try multiplyInt8(set, pack(block, bytes, 128, rows.count, int8: true), x, rows: 2)
            for row in 0..<2 {
                for output in 0..<4 {
                    let (found, expected) = (y[row * 4 + output], exact[row * 4 + output])
                    let error = Swift.abs(found - expected)
                    #expect(error <= 1e-4 * expected.magnitude, "\(set.name), output \(output)")
                }
            }
        }
    }

    /// Values, factors and activations at their ends: an integer sum of 2²⁷, and pairs that just fit 16 bits.
    @Test func scaledSumsHoldTheGreatestBlocks() throws {
        for (value, factor) in [(UInt8(0xff), Int8(-128)), (0, -128), (0xff, 127), (0, 127)] {
            // Q6_K: all values 31 or −32, one factor, and a scale of 1.
            let bytes = [UInt8](repeating: value, count: 192) + [UInt8](repeating: UInt8(bitPattern: factor), count: 16)
            let block = BlockType(type: .q6_K)
            let x = [Float](repeating: 1, count: 256) + [Float](repeating: -1, count: 256)
            let matrix = try pack(block, bytes + [0x00, 0x3c], 256, 1, int8: true)
            let weight = (value == 0 ? -32 : 31) * Int(factor)
            for set in KernelSet.available {
                #expect(try multiplyInt8(set, matrix, x, rows: 2) == [Float(256 * weight), Float(-256 * weight)])
            }
        }
    }

    @Test(arguments: KernelSet.available.map(\.name))
    func selfCheckPasses(name: String) throws {
        let set = try KernelSet.choose(named: name)
        #expect(KernelSelfCheck.passes(set))
        #expect(try KernelSelfCheck.results(of: set).count > 1000)
    }

    @Test(arguments: KernelSet.available.map(\.name))
    func faultyActivationsStayVisible(name: String) throws {
        let set = try KernelSet.choose(named: name)
        for fault in [Float.nan, .infinity, -.infinity] {
            // A row alone, and the first of a whole tile, whose others stay well.
            for rows in [1, set.table.row_tile] {
                var x = [Float](repeating: 1, count: rows * 128)
                x[70] = fault
                let buffer = try QuantizedBuffer(rows: rows, width: 128)
                var quantized = buffer.view(width: 128, peak: HK_INT8_PEAK)
                set.table.quantize(x, 128, rows, 128, &quantized, 0, 0)
                #expect(quantized.scales[0] == Float(1) / 127)
                #expect(quantized.scales[2 * set.table.row_tile].isNaN)
                for row in 1..<rows { #expect(quantized.scales[2 * set.table.row_tile + row] == Float(1) / 127) }
            }
        }
    }

    /// Whole tiles and single rows, whole blocks and one that ends with its first group.
    @Test(arguments: KernelSet.available.map(\.name), [HK_SILU, HK_GELU, HK_SQUARED_RELU].map { Int32($0) })
    func gateAndUpBecomeTheInt8FormOfTheirProduct(name: String, activation: Int32) throws {
        let set = try KernelSet.choose(named: name)
        let (rows, width, stride) = (11, 96, 101)
        var random = SmallRandom(seed: 17)
        let (gate, up) = (random.floats(rows * stride), random.floats(rows * stride))
        var product = gate
        set.table.activate(activation, gate, up, stride, rows, width, &product, stride)
        let (expected, found) = (
            try QuantizedBuffer(rows: rows + 1, width: 192), try QuantizedBuffer(rows: rows + 1, width: 192)
        )
        var (separate, fused) = (
            expected.view(width: 192, peak: HK_INT8_PEAK), found.view(width: 192, peak: HK_INT8_PEAK)
        )
        set.table.quantize(product, stride, rows, width, &separate, 1, 64)
        set.table.activate_quantize(activation, gate, up, stride, rows, width, &fused, 1, 64)
        let groups = 12 * 6
        #expect((0..<groups * 32).allSatisfy { separate.values[$0] == fused.values[$0] })
        #expect((0..<groups).allSatisfy { separate.scales[$0].bitPattern == fused.scales[$0].bitPattern })
        #expect(
            (0..<groups).allSatisfy { separate.sums[$0] == fused.sums[$0] && separate.pairs[$0] == fused.pairs[$0] })
        #expect((0..<2 * groups).allSatisfy { separate.quarters[$0] == fused.quarters[$0] })
        #expect((0..<groups * 32).contains { fused.values[$0] == 127 })
    }

    @Test func unknownInstructionSetIsRefused() {
        #expect(throws: HostDeviceError.self) { try KernelSet.choose(named: "sse9") }
    }

    @Test func aSetThatFailsTheSelfCheckIsNotUsed() throws {
        #expect(try KernelSet.choose(passes: { _ in false }).name == "portable")
        #expect(try KernelSet.choose(named: "portable", passes: { _ in false }).name == "portable")
        for name in KernelSet.available.map(\.name) where name != "portable" {
            #expect(throws: HostDeviceError.failedSelfCheck(name)) {
                try KernelSet.choose(named: name, passes: { _ in false })
            }
        }
    }

    private func pack(
        _ block: BlockType, _ bytes: [UInt8], _ inputs: Int, _ outputs: Int, int8: Bool
    ) throws -> PackedMatrix {
        try bytes.withUnsafeBytes {
            try PackedMatrix(
                PackedRows(type: block.type, bytes: $0, inputs: inputs, outputs: outputs), int8: int8,
                pool: ThreadPool(threadCount: 1))
        }
    }

    private func multiply(_ set: KernelSet, _ matrix: PackedMatrix, _ x: [Float], rows: Int) -> [Float] {
        let stride = matrix.paddedOutputs
        var y = [Float](repeating: .nan, count: rows * stride)
        var scratch = [Float](repeating: 0, count: Int(HK_SCRATCH_FLOATS))
        set.table.matmul_float(matrix.descriptor, 0, matrix.panels, x, matrix.layout.inputs, rows, &y, stride, &scratch)
        return (0..<rows).flatMap { y[$0 * stride..<$0 * stride + matrix.descriptor.pointee.outputs] }
    }

    private func multiplyInt8(
        _ set: KernelSet, _ matrix: PackedMatrix, _ x: [Float], rows: Int, peak: Int32 = HK_INT8_PEAK
    ) throws -> [Float] {
        let stride = matrix.paddedOutputs
        let buffer = try QuantizedBuffer(rows: x.count / matrix.layout.inputs, width: matrix.layout.inputs)
        var quantized = buffer.view(width: matrix.layout.inputs, peak: peak)
        set.table.quantize(
            x, matrix.layout.inputs, x.count / matrix.layout.inputs, matrix.layout.inputs, &quantized, 0, 0)
        var y = [Float](repeating: .nan, count: rows * stride)
        set.table.matmul_int8(matrix.descriptor, 0, matrix.panels, &quantized, 0, rows, &y, stride, nil, nil)
        return (0..<rows).flatMap { y[$0 * stride..<$0 * stride + matrix.descriptor.pointee.outputs] }
    }
}
