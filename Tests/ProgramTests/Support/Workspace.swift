// A directory of its own for a test, with a database in it, and the built program run on it as a user would.

import Foundation
import TestSupport
import Testing

/// A temporary directory that is gone when the test is over.
final class Workspace: Sendable {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    var directory: URL { folder.url }

    var database: String { path("queue.db") }

    func path(_ name: String) -> String { folder.file(name) }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try folder.write(name, text) }

    /// Writes one line for each element.
    func write(_ name: String, lines: [String]) throws -> String {
        try write(name, lines.map { $0 + "\n" }.joined())
    }

    func read(_ name: String) throws -> String {
        try String(contentsOf: directory.appending(path: name), encoding: .utf8)
    }

    /// The tiny model with another chat template.
    func model(withTemplate template: String) throws -> String {
        var file = try Data(contentsOf: URL(filePath: Locations.tinyModel))
        let key = try #require(file.range(of: Data("tokenizer.chat_template".utf8)))
        // The value's type, its length in eight bytes, and the text.
        let length = key.upperBound + 4..<key.upperBound + 12
        let old = file[length].reversed().reduce(0) { $0 << 8 | Int($1) }
        // Tensors keep their alignment if the text grows by a multiple of it.
        var text = template + "{##}"
        while (text.utf8.count - old) % 32 != 0 { text.insert(" ", at: text.index(text.endIndex, offsetBy: -2)) }
        let count = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Data($0) }
        file.replaceSubrange(length.lowerBound..<length.upperBound + old, with: count + Data(text.utf8))
        let path = self.path("model-\(text.hashValue.magnitude).gguf")
        try file.write(to: URL(filePath: path))
        return path
    }

    /// The tiny model with another context length in its metadata.
    func model(contextLength: UInt32) throws -> String {
        var file = try Data(contentsOf: URL(filePath: Locations.tinyModel))
        let key = try #require(file.range(of: Data("llama.context_length".utf8)))
        let value = withUnsafeBytes(of: contextLength.littleEndian) { Data($0) }
        file.replaceSubrange(key.upperBound + 4..<key.upperBound + 8, with: value)
        let path = self.path("model-\(contextLength).gguf")
        try file.write(to: URL(filePath: path))
        return path
    }

    /// Runs the program on this workspace's database and waits for its end.
    func run(
        _ arguments: String..., input: String? = nil, model: String? = Locations.tinyModel,
        environment: [String: String] = [:], outputPath: String? = nil
    ) throws -> Outcome {
        try run(arguments, input: input, model: model, environment: environment, outputPath: outputPath)
    }

    func run(
        _ arguments: [String], input: String? = nil, model: String? = Locations.tinyModel,
        environment: [String: String] = [:], outputPath: String? = nil
    ) throws -> Outcome {
        try start(arguments, input: input, model: model, environment: environment, outputPath: outputPath).waitForEnd()
    }

    /// Starts the program and returns at once.
    ///
    /// - Parameter wrapper: the words of a command that becomes the program after it has changed something for it.
    func start(
        _ arguments: [String], input: String? = nil, model: String? = Locations.tinyModel,
        environment: [String: String] = [:], outputPath: String? = nil, wrapper: [String] = []
    ) throws -> RunningProgram {
        var variables = [
            "HOME": directory.path, "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            "TTBATCH_DB": database, "SWIFT_BACKTRACE": "enable=no", "TTBATCH_LLGUIDANCE": Locations.llguidance,
        ]
        variables["TTBATCH_MODEL"] = model
        variables.merge(environment) { _, new in new }
        let words = wrapper + [Locations.program.path] + arguments
        return try RunningProgram(
            Array(words.dropFirst()), program: words[0], input: input, environment: variables, in: directory,
            outputPath: outputPath)
    }

    /// Runs requests together, in a database of their own, and gives their results by custom_id.
    func results(
        _ requests: [(String, [String: Any])], model: String? = Locations.tinyModel, _ options: [String] = [],
        _ location: SourceLocation = #_sourceLocation
    ) throws -> [String: ResultLine] {
        let lines = try requests.map { id, fields in
            try requestLine(id, url: fields["messages"] == nil ? "/v1/completions" : "/v1/chat/completions", fields)
        }
        let file = try write("\(UUID().uuidString).jsonl", lines: lines)
        let outcome = try run(["run", file, "--db", path("\(UUID().uuidString).db")] + options, model: model)
        #expect(outcome.status == 0, "\(outcome.errors)", sourceLocation: location)
        return try ResultLine.byID(outcome.lines)
    }
}
