// Reading safetensors files: the contents of valid ones, and that no damaged one crashes or misleads the reader.

import Foundation
import ModelFileBuilders
import Testing

@testable import ModelFiles

@Suite struct SafetensorsFileTests {
    private static var small: SafetensorsBuilder {
        var builder = SafetensorsBuilder()
        builder.add("b", "F32", [2, 3], (0..<6).flatMap { number in withUnsafeBytes(of: Float(number), Array.init) })
        builder.add("a", "BF16", [4], bytesEach: 2)
        builder.add("empty", "F16", [0, 7], bytesEach: 2)
        builder.add("scale", "F8_E4M3", [], bytesEach: 1)
        return builder
    }

    @Test func readsTensorsWithTheInnermostSizeFirst() throws {
        var builder = Self.small
        builder.entries.append(("__metadata__", #"{"format":"pt"}"#))
        try withFile(builder.build()) { path in
            let file = try SafetensorsFile(path: path)
            #expect(file.tensors.map(\.name).sorted() == ["a", "b", "empty", "scale"])
            let tensor = try #require(file.tensors.first { $0.name == "b" })
            let mapped = try #require(file.mapped(tensor))
            #expect(mapped.shape == [3, 2] && mapped.type == .f32 && mapped.bytes.count == 24)
            #expect(mapped.bytes.loadUnaligned(fromByteOffset: 20, as: Float.self) == 5)
            #expect(file.tensors.filter { file.mapped($0) == nil }.map(\.name) == ["scale"])
        }
    }

    @Test func spacesAroundTheHeaderAreAllowed() throws {
        var builder = SafetensorsBuilder()
        builder.header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}   "
        builder.data = [1]
        #expect(try withFile(builder.build()) { try SafetensorsFile(path: $0).tensors.count } == 1)
        builder.header = "{}"
        builder.data = []
        #expect(try withFile(builder.build()) { try SafetensorsFile(path: $0).tensors.isEmpty })
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = Self.small.build()
        for length in 0..<bytes.count {
            try withFile(Array(bytes[..<length])) { path in
                #expect(throws: ModelFileError.self, "cut to \(length) bytes") { try SafetensorsFile(path: path) }
            }
        }
    }

    /// A changed byte may leave a readable file; then all its tensors must lie inside it.
    @Test func changedBytesNeverCrash() throws {
        var bytes = Self.small.build()
        let header = bytes.count - Self.small.data.count
        var readable = 0
        for place in 0..<header {
            for change: UInt8 in [0x01, 0x10, 0x80, 0xff] {
                bytes[place] ^= change
                try withFile(bytes) { path in
                    guard let file = try? SafetensorsFile(path: path) else { return }
                    readable += 1
                    #expect(
                        file.tensors.allSatisfy { $0.range.upperBound <= bytes.count && $0.range.lowerBound >= header })
                }
                bytes[place] ^= change
            }
        }
        #expect(readable > 0)
    }

    @Test(arguments: [
        (#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#, "not the 4 bytes"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#, "impossible data_offsets"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}"#, "data_offsets twice, or they are none"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}"#, "impossible data_offsets"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}"#, "impossible data_offsets"),
        (
            #"{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}"#,
            "data_offsets twice, or they are none"
        ),
        (#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#, "impossible shape"),
        (#"{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}"#, "impossible shape"),
        (#"{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}"#, "two shapes, or one that is none"),
        (#"{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}"#, "two shapes, or one that is none"),
        (#"{"dtype":"F4","shape":[3],"data_offsets":[0,1]}"#, "not the 1 bytes"),
        (#"{"dtype":"F32","shape":[2]}"#, "lacks"), (#"{"shape":[2],"data_offsets":[0,8]}"#, "lacks"),
        ("[]", "an array"),
        (#"{"dtype":"Q8","shape":[2],"data_offsets":[0,8]}"#, #"the type "Q8" of tensor "a""#),
        (#"{"dtype":8,"shape":[2],"data_offsets":[0,8]}"#, "two types, or one that is none"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#, "does not begin where"),
    ])
    func badEntriesAreNamed(entry: String, message: String) throws {
        var builder = SafetensorsBuilder()
        builder.entries = [("a", entry)]
        builder.data = Array(repeating: 0, count: 12)
        try expect(message, builder)
    }

    @Test func overlapsHolesAndWhatFollowsAreRefused() throws {
        func entry(_ range: Range<Int>) -> String {
            #"{"dtype":"U8","shape":[\#(range.count)],"data_offsets":[\#(range.lowerBound),\#(range.upperBound)]}"#
        }
        let layouts: [([Range<Int>], Int, String)] = [
            ([0..<4, 2..<6], 6, "does not begin where"), ([0..<4, 6..<8], 8, "does not begin where"),
            ([0..<4, 4..<8], 9, "1 bytes follow the last tensor"), ([0..<4, 4..<8], 7, "beyond the file's end"),
        ]
        for (ranges, count, message) in layouts {
            var builder = SafetensorsBuilder()
            builder.entries = ranges.enumerated().map { ("t\($0)", entry($1)) }
            builder.data = Array(repeating: 0, count: count)
            try expect(message, builder)
        }
    }

    @Test func headersThatAreNoneAreRefused() throws {
        var twice = Self.small
        twice.entries.append(twice.entries[3])
        try expect("appears twice", twice)
        var long = Self.small
        for (length, message) in [
            (UInt64.max, "longer than any"), (100_000_001, "longer than any"), (5000, "more than the file has"),
        ] {
            long.length = length
            try expect(message, long)
        }
        for (header, message) in [("[]", "an array"), ("", "not JSON"), ("{\"a\":", "not JSON"), ("7", "an integer")] {
            var builder = SafetensorsBuilder()
            builder.header = header
            try expect(message, builder)
        }
    }

    private func expect(_ message: String, _ builder: SafetensorsBuilder) throws {
        try withFile(builder.build()) { path in
            let error = #expect(throws: ModelFileError.self) { try SafetensorsFile(path: path) }
            let text = error?.description ?? ""
            #expect(text.hasPrefix(path) && text.contains(message), "\(text) lacks \(message)")
        }
    }
}
