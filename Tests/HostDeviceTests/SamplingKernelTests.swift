// The kernel that summarises tiles of logits: on every instruction set the bits that the host's sampler computes.

import CHostKernels
import Foundation
import Testing

@testable import HostDevice
@testable import Platform
@testable import Sampling

struct SamplingKernelTests {
    @Test func theSummaryHasOneLayout() {
        #expect(MemoryLayout<hk_logit_tile>.layout == MemoryLayout<LogitTile>.layout)
        #expect(MemoryLayout<hk_logit_tile>.offset(of: \.weight) == MemoryLayout<LogitTile>.offset(of: \.weight))
        #expect(Int(HK_PANEL) == LogitTile.width)
    }

    @Test(arguments: KernelSet.available.map(\.name), 0..<12)
    func summariesAreTheHostsBits(name: String, seed: UInt64) throws {
        let set = try KernelSet.choose(named: name)
        var random = SmallRandom(seed: seed)
        let (rows, stride) = (13, 40)
        let spread = Float([0, 1e-30, 1, 20, 1e30, 3e38][Int(seed) % 6])
        var logits = random.floats(rows * stride).map { $0 * spread }
        for (index, value) in [-Float.infinity, -0.0, 0, .leastNonzeroMagnitude, 87].enumerated() {
            for place in 0..<rows where seed >= 6 { logits[(place * 67 + index * 3) % logits.count] = value }
        }
        // Beyond the vocabulary lies anything.
        for row in 0..<rows { logits[row * stride + 32] = .nan }
        let scales = (0..<rows).map { row in
            [0, 1.4426950, 1e-3, 40, .greatestFiniteMagnitude, .leastNonzeroMagnitude][row % 6] as Float
        }
        for valid in [32, 31, 17, 16, 5, 1] {
            var padded = logits
            for row in 0..<rows where valid < 32 { padded[row * stride + valid] = .infinity }
            let tiles = summaries(set, padded, stride: stride, valid: valid, scales)
            for row in 0..<rows {
                var expected = LogitTile(highest: 0, weight: 0)
                padded[(row * stride)..<(row * stride + valid)].withUnsafeBufferPointer {
                    LogitTile.summarise($0, weightScale: scales[row], into: &expected)
                }
                #expect(tiles[row].highest.bitPattern == expected.highest.bitPattern, "row \(row), \(valid) logits")
                #expect(tiles[row].weight.bitPattern == expected.weight.bitPattern, "row \(row), \(valid) logits")
            }
        }
    }

    @Test(arguments: KernelSet.available.map(\.name))
    func weightsAreExponentials(name: String) throws {
        let set = try KernelSet.choose(named: name)
        for distance in stride(from: Float(0), through: 124, by: 0.37) {
            var logits = [Float](repeating: -.infinity, count: 32)
            (logits[3], logits[21]) = (5, 5 - distance)
            let tile = summaries(set, logits, stride: 32, valid: 32, [1])[0]
            let exact = exp2(Double(logits[21]) - 5)
            #expect(abs(Double(tile.weight) - 1 - exact) < 1.5e-7)
            (logits[3], logits[21]) = (-.infinity, 7)
            #expect(summaries(set, logits, stride: 32, valid: 32, [1])[0].weight == 1)
        }
    }

    @Test(arguments: KernelSet.available.map(\.name))
    func aNaNIsVisible(name: String) throws {
        let set = try KernelSet.choose(named: name)
        for place in 0..<32 {
            for scale: Float in [0, 1] {
                var logits = [Float](repeating: 2, count: 64)
                logits[place] = .nan
                logits[(place + 7) % 32] = .infinity
                let tiles = summaries(set, logits, stride: 32, valid: 32, [scale, scale])
                #expect(tiles[0].highest.isNaN)
                #expect(tiles[1].highest == 2)
                #expect(tiles[1].weight == (scale == 0 ? 0 : 32))
            }
        }
    }

    private func summaries(
        _ set: KernelSet, _ logits: [Float], stride: Int, valid: Int, _ scales: [Float]
    ) -> [hk_logit_tile] {
        // Every other element of the result must stay unchanged.
        var tiles = [hk_logit_tile](repeating: hk_logit_tile(highest: -7, weight: -7), count: 2 * scales.count)
        set.table.summarise(logits, stride, scales.count, valid, scales, &tiles, 2)
        #expect(Swift.stride(from: 1, to: tiles.count, by: 2).allSatisfy { tiles[$0].highest == -7 })
        return Swift.stride(from: 0, to: tiles.count, by: 2).map { tiles[$0] }
    }
}

extension MemoryLayout {
    fileprivate static var layout: [Int] { [size, stride, alignment] }
}
