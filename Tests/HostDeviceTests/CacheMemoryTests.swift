// The KV cache's memory: the layout of blocks, and when the system provides it.

import Glibc
import Platform
import Testing

@testable import HostDevice

@Suite struct CacheMemoryTests {
    private static let megabyte = 1 << 20

    @Test func onlyThePagesThatAreAskedForAreTaken() throws {
        let buffer = try DeviceBuffer<Int32>(count: 16 * Self.megabyte / 4)
        buffer.base[Self.megabyte] = 42
        buffer.takePages(Self.megabyte / 2..<Self.megabyte * 5 / 4 + 1)
        // A huge page may reach 2 MB beyond both ends.
        #expect(residentPages(buffer, bytes: 2 * Self.megabyte..<5 * Self.megabyte + 4096) == 3 * 256 + 1)
        #expect(residentPages(buffer, bytes: 8 * Self.megabyte..<16 * Self.megabyte) == 0)
        #expect(buffer.base[Self.megabyte] == 42)
        #expect(buffer.base[Self.megabyte + 1] == 0)
    }

    @Test func askingForNothingOrForTheWholeIsHarmless() throws {
        let buffer = try DeviceBuffer<UInt8>(count: 10_001)
        buffer.takePages(500..<500)
        #expect(residentPages(buffer, bytes: 0..<10_001) == 0)
        buffer.takePages(0..<10_001)
        #expect(residentPages(buffer, bytes: 0..<10_001) == 3)
    }

    /// Blocks lie side by side in each part, and nothing of them lies elsewhere.
    @Test(arguments: [KVCacheDType.float32, .float16, .int8])
    func partsOfBlocks(_ type: KVCacheDType) {
        let cache = KVCacheGeometry(layers: 3, heads: 2, headSize: 24, blockCount: 10, blockSize: 20, type: type)
        let whole = cache.parts(of: 0..<10)
        #expect(whole.first?.lowerBound == 0)
        for (part, next) in zip(whole, whole.dropFirst()) { #expect(part.upperBound == next.lowerBound) }
        #expect(whole.map(\.count).reduce(0, +) == 10 * cache.blockBytes)
        for ((first, rest), part) in zip(zip(cache.parts(of: 0..<4), cache.parts(of: 4..<10)), whole) {
            #expect(first.lowerBound == part.lowerBound && first.upperBound == rest.lowerBound)
            #expect(rest.upperBound == part.upperBound)
            #expect(first.count * 3 == rest.count * 2)
        }
    }

    private func residentPages<Element>(_ buffer: DeviceBuffer<Element>, bytes: Range<Int>) -> Int {
        let page = sysconf(Int32(_SC_PAGESIZE))
        var states = [UInt8](repeating: 0, count: (bytes.count + page - 1) / page)
        #expect(mincore(UnsafeMutableRawPointer(buffer.base) + bytes.lowerBound, bytes.count, &states) == 0)
        return states.filter { $0 & 1 == 1 }.count
    }
}
