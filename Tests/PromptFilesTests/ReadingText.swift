// Reads prompt files that tests hold as text.

import Glibc
import OpenAIFormats
import PromptFiles

/// Everything that a reader gives for `bytes`.
func read(
    _ bytes: some Collection<UInt8>, options: PromptFileReader.Options = .init()
) throws -> (lines: [PromptFileLine], summary: PromptFileReader.Summary) {
    guard let file = tmpfile() else { throw PromptFileError.cannotOpen(path: "tmpfile", reason: "no temporary file") }
    defer { fclose(file) }
    fwrite(Array(bytes), 1, bytes.count, file)
    fflush(file)
    lseek(fileno(file), 0, SEEK_SET)
    let reader = PromptFileReader(descriptor: fileno(file), name: "prompts.jsonl", options: options)
    var lines: [PromptFileLine] = []
    while let line = try reader.next() { lines.append(line) }
    return (lines, reader.summary)
}

func read(
    _ text: String, options: PromptFileReader.Options = .init()
) throws -> (lines: [PromptFileLine], summary: PromptFileReader.Summary) {
    try read(Array(text.utf8), options: options)
}

/// The printed errors of a one-line file; empty where it is valid.
func errors(of line: String) throws -> [String] {
    try read(line).lines.compactMap(\.invalid).flatMap { $0.errors.map(\.description) }
}

extension PromptFileLine {
    var valid: PromptLine? {
        if case .valid(let line) = self { line } else { nil }
    }

    var invalid: InvalidLine? {
        if case .invalid(let line) = self { line } else { nil }
    }
}
