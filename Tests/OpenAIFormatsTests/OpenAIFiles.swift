// The files of the folder `openai`, checked with the types of OpenAI's own Python client.

import Foundation
import TestSupport
import Testing

/// Expects that a file holds `text` and nothing else. With TTBATCH_WRITE_OPENAI_FILES set, writes it instead: then
/// check_objects.py must accept the file before it is committed.
func expectOpenAIFile(_ name: String, holds text: String) throws {
    let file = Locations.beside("openai/" + name)
    guard ProcessInfo.processInfo.environment["TTBATCH_WRITE_OPENAI_FILES"] == nil else {
        try text.write(to: file, atomically: false, encoding: .utf8)
        return
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
}
