// Files that gzip or zstd packed (the folder `packed`): read like any other, and never half.

import Foundation
import OpenAIFormats
import PromptFiles
import TestSupport
import Testing

@Suite struct PackedFileTests {
    private static func packed(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: Locations.beside("packed/" + name)))
    }

    private static let expected = (1...300).map { RequestBody.Prompt.text("line \($0): \($0 * $0 * 7919)") }

    private func prompts(_ bytes: [UInt8], readSize: Int = 1 << 20) throws -> [RequestBody.Prompt?] {
        var options = PromptFileReader.Options()
        options.readSize = readSize
        return try read(bytes, options: options).lines.map { $0.valid?.request.prompts[0] }
    }

    @Test(
        arguments: ["plain.gz", "members.gz", "padded.gz", "plain.zst", "frames.zst", "skippable.zst"],
        [1, 5, 64, 1000, 1 << 20])
    func areReadForEveryReadSize(name: String, readSize: Int) throws {
        #expect(try prompts(Self.packed(name), readSize: readSize) == Self.expected)
    }

    /// A pipe gives what it has got.
    @Test(arguments: ["members.gz", "frames.zst"]) func comeThroughPipes(name: String) throws {
        let pipe = Pipe()
        let bytes = try Self.packed(name)
        _ = onThread {
            for start in stride(from: 0, to: bytes.count, by: 7) {
                pipe.fileHandleForWriting.write(Data(bytes[start..<min(start + 7, bytes.count)]))
            }
            try? pipe.fileHandleForWriting.close()
        }
        let reader = PromptFileReader(descriptor: pipe.fileHandleForReading.fileDescriptor, name: "<stdin>")
        var prompts: [RequestBody.Prompt?] = []
        while let line = try reader.next() { prompts.append(line.valid?.request.prompts[0]) }
        #expect(prompts == Self.expected)
    }

    /// Wherever it is cut off, a file is never taken for a whole one.
    @Test(arguments: ["plain.gz", "members.gz", "plain.zst", "frames.zst"], [13, 1 << 20])
    func whatIsCutOffIsAnError(name: String, readSize: Int) throws {
        let bytes = try Self.packed(name)
        // Behind a member or frame that is whole, nothing is missing that could be known.
        let whole = name == "members.gz" || name == "frames.zst" ? try Self.wholePart(name) : nil
        for count in 4..<bytes.count where count != whole {
            let error = #expect(throws: PromptFileError.self, "\(name) cut at \(count)") {
                try prompts(Array(bytes[..<count]), readSize: readSize)
            }
            guard case .damaged = error else {
                Issue.record("\(name) cut at \(count): \(String(describing: error))")
                return
            }
        }
    }

    /// The length of the first of two members or frames.
    private static func wholePart(_ name: String) throws -> Int? {
        let bytes = try packed(name)
        let magic: [UInt8] = name.hasSuffix("gz") ? [0x1F, 0x8B, 0x08] : [0x28, 0xB5, 0x2F, 0xFD]
        return (1..<bytes.count).first { bytes[$0...].starts(with: magic) }
    }

    /// A changed byte is found by the checksums, or changes nothing.
    @Test(arguments: ["members.gz", "frames.zst"]) func whatIsDamagedIsAnErrorOrTheSame(name: String) throws {
        let bytes = try Self.packed(name)
        var errors = 0
        for index in 4..<bytes.count {
            var changed = bytes
            changed[index] ^= 0x55
            do throws(any Error) {
                #expect(try prompts(changed) == Self.expected, "byte \(index)")
            } catch {
                errors += 1
            }
        }
        #expect(errors > bytes.count / 2)
    }

    @Test(arguments: [
        ("followed.gz", "prompts.jsonl: the gzip data is damaged after line 300: incorrect header check; "),
        (
            "followed.zst",
            "prompts.jsonl: the zstd data is damaged after line 300: something that is not zstd follows its end; "
        ),
        (
            "window.zst",
            "prompts.jsonl: the zstd data is damaged: it needs more than 128 MiB of memory; pack it again without --long; "
        ),
    ])
    func whatFollowsAndWhatIsTooMuchIsTold(name: String, message: String) throws {
        let error = #expect(throws: PromptFileError.self) { try prompts(Self.packed(name), readSize: 64) }
        #expect(error?.description.hasPrefix(message) == true, "\(String(describing: error))")
    }

    /// Zeros behind the last member are nothing; anything behind them is something.
    @Test func paddingIsOnlyZeros() throws {
        #expect(throws: PromptFileError.self) { try prompts(Self.packed("padded.gz") + [1]) }
        #expect(throws: PromptFileError.self) { try prompts(Self.packed("padded.gz") + Self.packed("plain.gz")) }
    }
}
