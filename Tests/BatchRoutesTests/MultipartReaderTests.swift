// Multipart bodies, in pieces of every size.

import TestSupport
import Testing

@testable import BatchRoutes

@Suite struct MultipartReaderTests {
    /// What a body has, with the bytes of each part put together.
    private struct Form: Equatable {
        var parts: [String] = []
        var isComplete = false
    }

    private func read(
        _ body: String, boundary: String = "b", in pieces: (Int) -> Int = { _ in .max }
    ) throws -> Form {
        var reader = try MultipartReader(contentType: "multipart/form-data; boundary=\(boundary)")
        var form = Form()
        var contents: [[UInt8]] = []
        var rest = Array(body.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(pieces(rest.count))
            rest = rest.dropFirst(piece.count)
            try reader.take(piece) { event in
                switch event {
                case .part(let name, let filename):
                    form.parts.append("\(name)/\(filename ?? "-")=")
                    contents.append([])
                case .bytes(let bytes): contents[contents.count - 1] += bytes
                case .end: form.isComplete = true
                }
            }
        }
        try reader.finish()
        for (index, content) in contents.enumerated() { form.parts[index] += String(decoding: content, as: UTF8.self) }
        return form
    }

    private static let body =
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n"
        + "content-disposition:form-data; name=\"file\"; filename=\"näme %22q%22;.jsonl\"\r\nContent-Type: x/y\r\n\r\n"
        + "a\r\n--bx\r\n--\r\n--b \r\n\r\n--b\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--b--\r\nepilogue"

    @Test func piecesOfAnySizeGiveTheSame() throws {
        let expected = Form(
            parts: ["purpose/-=batch", "file/näme \"q\";.jsonl=a\r\n--bx\r\n--\r\n--b \r\n", "empty/-="],
            isComplete: true)
        #expect(try read(Self.body) == expected)
        for size in 1...40 { #expect(try read(Self.body, in: { _ in size }) == expected, "\(size)") }
        var random = SplitMix64(seed: 27)
        for _ in 0..<200 {
            #expect(try read(Self.body, in: { _ in Int.random(in: 1...30, using: &random) }) == expected)
        }
    }

    @Test(arguments: [
        "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
    ])
    func otherContentTypesAreRefused(type: String) {
        #expect(throws: MultipartError.noBoundary) { try MultipartReader(contentType: type) }
    }

    @Test func brokenBodiesAreRefused() throws {
        #expect(throws: MultipartError.noPart) { try read("no boundary here") }
        #expect(throws: MultipartError.noPart) { try read("") }
        for count in [10, 60, 100, Self.body.utf8.count - 12] {
            let cut = String(decoding: Self.body.utf8.prefix(count), as: UTF8.self)
            #expect(throws: MultipartError.unfinished) { try read(cut) }
        }
        #expect(throws: MultipartError.badHeader) { try read("--b\r\nContent-Type: a\r\n\r\nx\r\n--b--\r\n") }
        #expect(throws: MultipartError.badHeader) {
            try read("--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n")
        }
        let long = String(repeating: "x", count: 9000)
        #expect(throws: MultipartError.headersTooLong) { try read("--b\r\n\(long)\r\n\r\n\r\n--b--\r\n") }
        #expect(throws: MultipartError.headersTooLong) { try read("--b\r\n\(long)", in: { _ in 100 }) }
        let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"
        #expect(throws: MultipartError.tooManyParts) { try read(String(repeating: part, count: 40) + "--b--") }
    }

    /// A whole file is passed on, whatever it has in it.
    @Test func randomContentsComeThrough() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<100 {
            let letters = Array("\r\n-bx".utf8)
            var content = String(decoding: (0..<300).map { _ in letters.randomElement(using: &random)! }, as: UTF8.self)
            content = content.replacingOccurrences(ofDelimiter: "\r\n--b")
            let body = "--b\r\nContent-Disposition: form-data; name=f\r\n\r\n\(content)\r\n--b--\r\n"
            let form = try read(body, in: { _ in Int.random(in: 1...20, using: &random) })
            #expect(form == Form(parts: ["f/-=" + content], isComplete: true))
        }
    }
}

extension String {
    /// The text without what would end a part.
    fileprivate func replacingOccurrences(ofDelimiter delimiter: String) -> String {
        var bytes = Array(utf8)
        let wanted = Array(delimiter.utf8)
        while let place = bytes.firstRange(of: wanted) { bytes[place.lowerBound] = UInt8(ascii: "x") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
