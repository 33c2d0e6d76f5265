// The files of the folder `openai`: made by OpenAI's own Python client, or checked with its types.

import Foundation
import Testing

private func file(_ name: String, beside test: String = #filePath) -> URL {
    URL(filePath: test).deletingLastPathComponent().appending(components: "openai", name)
}

func openAIFile(_ name: String) throws -> String {
    try String(contentsOf: file(name), encoding: .utf8)
}

/// Expects that a file holds `text` and nothing else. With TTBATCH_WRITE_OPENAI_FILES set, writes it instead: then
/// check_objects.py must accept the file before it is committed.
func expectOpenAIFile(_ name: String, holds text: String) throws {
    guard ProcessInfo.processInfo.environment["TTBATCH_WRITE_OPENAI_FILES"] == nil else {
        try text.write(to: file(name), atomically: false, encoding: .utf8)
        return
    }
    #expect(try openAIFile(name) == text)
}
