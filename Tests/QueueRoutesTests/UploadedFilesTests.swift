// Bytes on their way from a connection to a thread that reads them.

import Foundation
import NIOCore
import PromptFiles
import ResultExport
import Runtime
import Testing

@testable import QueueRoutes

@Suite struct UploadedFilesTests {
    /// What a thread reads that may block, unlike those of tests.
    private static func onAThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            DetachedThread.start("reader") { continuation.resume(with: Result { try body() }) }
        }
    }

    /// All bytes of a file, in reads of `size`.
    private static func all(of number: Int, _ files: UploadedFiles, size: Int = 1000) throws(InputFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: size)
        while true {
            let count: Int
            do { count = try buffer.withUnsafeMutableBytes { try files.read(number, into: $0) } } catch {
                throw error as? InputFailure ?? InputFailure(errno: 0)
            }
            if count == 0 { return bytes }
            bytes += buffer.prefix(count)
        }
    }

    private static func piece(_ byte: UInt8, _ count: Int = 100_000) -> ByteBuffer {
        ByteBuffer(repeating: byte, count: count)
    }

    /// More than may wait comes through in its order, because the connection is held up.
    @Test func filesComeThrough() async throws {
        let files = UploadedFiles()
        async let read = Self.onAThread {
            try (Self.all(of: 0, files), Self.all(of: 1, files), Self.all(of: 1, files))
        }
        for number in 0..<100 { await files.write(Self.piece(UInt8(number))) }
        files.endFile()
        await files.write(Self.piece(7, 0))
        await files.write(Self.piece(7, 5))
        files.endFile()
        let (first, second, again) = try await read
        #expect(first.count == 10_000_000 && first[9_999_999] == 99 && first[100_000] == 1)
        #expect(second == [7, 7, 7, 7, 7] && again.isEmpty)
    }

    @Test func whatIsNotReadOfAFileIsSkipped() async throws {
        let files = UploadedFiles()
        async let read = Self.onAThread { try Self.all(of: 2, files, size: 3) }
        for _ in 0..<100 { await files.write(Self.piece(1)) }
        files.endFile()
        files.endFile()
        await files.write(Self.piece(2, 10))
        files.endFile()
        #expect(try await read == [UInt8](repeating: 2, count: 10))
        #expect(!files.isCutShort)
    }

    @Test func whatBreaksOffIsNoEnd() async throws {
        let files = UploadedFiles()
        let read = Task { try await Self.onAThread { try Self.all(of: 0, files) } }
        await files.write(Self.piece(1))
        files.fail()
        await #expect(throws: InputFailure.self) { try await read.value }
        #expect(files.isCutShort)
        await files.write(Self.piece(1, 10 << 20))
    }

    /// Nobody is held up by a reader who has left.
    @Test func aReaderMayLeave() async {
        let files = UploadedFiles()
        let write = Task { for _ in 0..<100 { await files.write(Self.piece(1)) } }
        files.abandon()
        files.fail()
        await write.value
        #expect(!files.isCutShort)
    }

    @Test(arguments: [
        ("cannot read /srv/models/a.gguf: no", "cannot read a.gguf: no"),
        ("there is none in /srv/models: pull", "there is none in models: pull"),
        ("\"/a/b\", '~/c/d' and (../e/f)", "\"b\", 'd' and (f)"),
        ("either/or, 1/2, / and /v1", "either/or, 1/2, / and /v1"),
        ("http://host/a/b stays", "http://host/a/b stays"),
        ("/v1/chat/completions stays", "/v1/chat/completions stays"),
    ])
    func textsLoseTheirPaths(_ text: String, _ expected: String) { #expect(text.withoutPaths == expected) }
}
