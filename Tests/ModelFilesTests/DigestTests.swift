// SHA-256 of a model's files, and the notes of those that were read before.

import Foundation
import TestSupport
import Testing

@testable import ModelFiles

@Suite struct DigestTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The SHA-256 of "abc" is an example of FIPS 180-2.
    private static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test func isReadAgainOnlyAfterAChange() throws {
        let file = folder.file("model")
        let cache = DigestCache(folder: folder.file("notes/sha256"))
        try "abc".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try cache.sha256(of: file) == Self.abc)
        let note = try #require(try FileManager.default.contentsOfDirectory(atPath: folder.file("notes/sha256")).first)
        let text = try String(contentsOfFile: folder.file("notes/sha256/\(note)"), encoding: .utf8)
        try text.replacing(Self.abc, with: "noted").write(
            toFile: folder.file("notes/sha256/\(note)"), atomically: true, encoding: .utf8)
        #expect(try cache.sha256(of: file) == "noted")
        try "abc".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try cache.sha256(of: file) == Self.abc)
        #expect(try DigestCache(folder: "/proc/none").sha256(of: file) == Self.abc)
        #expect(throws: ModelFileError.self) { try cache.sha256(of: folder.file("missing")) }
    }

    @Test func namesEachFileOfAModel() throws {
        let file = folder.file("model.gguf")
        try "abc".write(toFile: file, atomically: true, encoding: .utf8)
        let cache = DigestCache(folder: folder.file("notes"))
        let digest = ModelDigest(files: [file, folder.file("missing")], cache)
        #expect(digest.sha256 == ["model.gguf": Self.abc, "missing": "unknown"])
    }
}
