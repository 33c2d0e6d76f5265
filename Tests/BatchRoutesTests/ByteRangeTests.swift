// Ranges of bytes as RFC 9110 has them.

import HTTPExchange
import HTTPTypes
import Testing

@testable import BatchRoutes

@Suite struct ByteRangeTests {
    @Test(
        arguments: [
            ("bytes=0-4", 0, 4), ("bytes=5-", 5, 9), ("bytes=-3", 7, 9), ("bytes=-30", 0, 9), ("bytes=9-9", 9, 9),
            ("bytes=3-100", 3, 9), ("bytes=-9223372036854775807", 0, 9), ("bytes=9-9223372036854775807", 9, 9),
        ] as [(String, Int64, Int64)])
    func rangesAreRead(header: String, first: Int64, last: Int64) throws {
        #expect(try ByteRange(header, of: 10) == ByteRange(first: first, last: last))
    }

    @Test(arguments: ["bytes=10-", "bytes=11-12", "bytes=-0", "bytes=9223372036854775807-"])
    func rangesOutsideAreRefused(header: String) {
        #expect { try ByteRange(header, of: 10) } throws: { ($0 as? APIError)?.status == .rangeNotSatisfiable }
    }

    /// What is no range, or several, is as if it were not there.
    @Test(
        arguments: [
            "", "bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=1--2", "bytes=+1-2",
            "bytes=--3", "bytes=--9223372036854775808", "bytes=-9223372036854775808-", "bytes=9223372036854775808-",
        ])
    func othersAreIgnored(header: String) throws {
        #expect(try ByteRange(header, of: 10) == nil)
    }

    @Test func partsOfLinesAreCut() {
        let range = ByteRange(first: 3, last: 6)
        #expect(Array(range.part(of: [0, 1, 2, 3], at: 0)) == [3])
        #expect(Array(range.part(of: [4, 5, 6, 7], at: 4)) == [4, 5, 6])
        #expect(range.part(of: [8, 9], at: 8).isEmpty && range.part(of: [0, 1], at: 0).isEmpty)
    }
}
