// Numbers that are written as bytes.

import Testing

@testable import JSONText

@Suite struct JSONWritingTests {
    @Test(arguments: [0, 7, -7, 10, 99, 100, 1_234_567_890, -9_007_199_254_740_993, .max, .min, .min + 1] as [Int64])
    func integersAreWrittenAsSwiftDoes(value: Int64) {
        var bytes: [UInt8] = []
        bytes.append(integer: value)
        bytes.append(integer: UInt64(bitPattern: value))
        #expect(String(decoding: bytes, as: UTF8.self) == "\(value)\(UInt64(bitPattern: value))")
    }
}
