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
        #expect(try cache.sha256(of: file, unless: { false }) == Self.abc)
        let note = try #require(try FileManager.default.contentsOfDirectory(atPath: folder.file("notes/sha256")).first)
        let text = try String(contentsOfFile: folder.file("notes/sha256/\(note)"), encoding: .utf8)
        try text.replacing(Self.abc, with: "noted").write(
            toFile: folder.file("notes/sha256/\(note)"), atomically: true, encoding: .utf8)
        #expect(try cache.sha256(of: file, unless: { false }) == "noted")
        try "abc".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try cache.sha256(of: file, unless: { false }) == Self.abc)
        #expect(try DigestCache(folder: "/proc/none").sha256(of: file, unless: { false }) == Self.abc)
        #expect(throws: ModelFileError.self) { try cache.sha256(of: folder.file("missing"), unless: { false }) }
    }

    @Test func namesEachFileOfAModel() throws {
        let cache = DigestCache(folder: folder.file("notes"))
        let files = try ["model.gguf", "t.jinja", "chat_templates/t.jinja"].map { try folder.write($0, "abc") }
        let digest = ModelDigest(files: files, cache)
        #expect(
            try digest.sha256() == ["model.gguf": Self.abc, "t.jinja": Self.abc, "chat_templates/t.jinja": Self.abc])
        #expect(throws: ModelFileError.self) {
            try ModelDigest(files: files + [folder.file("missing")], cache).sha256()
        }
    }

    /// A pipe stands for a large file: nothing comes from it.
    @Test func isEndedOnceNobodyNeedsIt() throws {
        let pipe = folder.file("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        let writer = open(pipe, O_RDWR)
        defer { close(writer) }
        let cache = DigestCache(folder: folder.file("notes"))
        let stopped = ModelDigest(files: [pipe], cache)
        #expect(try stopped.sha256(unless: { true }) == nil)
        let abandoned = ModelDigest(files: [pipe], cache)
        abandoned.abandon()
        #expect(throws: ModelFileError.self) { try abandoned.sha256() }
    }
}
