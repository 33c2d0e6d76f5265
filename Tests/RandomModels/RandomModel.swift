// The random models of Tests/Golden/models: unpacked files, and what transformers answers with them.

private import CZstd
import Foundation
import TestSupport

/// A model of about 150,000 random weights, as a Hugging Face folder and as GGUF.
package struct RandomModel: Sendable {
    /// All models' names, in alphabetical order.
    package static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: Locations.golden("models").path)) ?? []
        return files.filter { $0.hasSuffix(".zst") }.map { String($0.dropLast(4)) }.sorted()
    }()

    package let name: String
    /// The longest sequence that the answers are for; with RoPE of kind `longrope` they depend on it.
    package let maxModelLength: Int
    package let vocabularySize: Int
    package let answers: [LogitsAnswer]

    private let unpacked: TemporaryFolder
    private let files: [String]

    /// Unpacks the model into a folder that goes with the last copy of this value.
    package init(_ name: String) throws {
        let source = Locations.golden("models")
        let index = try JSONDecoder().decode(
            ModelIndex.self, from: Data(contentsOf: source.appending(path: name + ".json")))
        let packed = try Data(contentsOf: source.appending(path: name + ".zst"))
        var rest = try RandomModel.unpack(packed, count: index.files.reduce(0) { $0 + $1.bytes })[...]
        unpacked = try TemporaryFolder()
        for file in index.files {
            try unpacked.write(file.name, rest.prefix(file.bytes))
            rest = rest.dropFirst(file.bytes)
        }
        files = index.files.map(\.name)
        for config in files where config.hasSuffix("config.json") && !config.hasSuffix("generation_config.json") {
            for shared in ["tokenizer.json", "tokenizer_config.json"] {
                try unpacked.write(
                    config.dropLast("config.json".count) + shared, Data(contentsOf: source.appending(path: shared)))
            }
        }
        self.name = name
        maxModelLength = index.maxModelLength
        vocabularySize = index.vocabulary
        answers = try LogitsAnswer.all(of: index, floats: Data(contentsOf: URL(filePath: unpacked.file("golden.f32"))))
    }

    /// The Hugging Face folder.
    package var folder: String { unpacked.path }

    /// The GGUF file, if the format can express the model.
    package var gguf: String? { files.contains("model.gguf") ? unpacked.file("model.gguf") : nil }

    /// The same model in another container: `sharded`, `split`, `multimodal`, `transformers-4.51` …
    package func container(_ name: String) -> String? {
        files.contains { $0.hasPrefix(name + "/") } ? unpacked.file(name) : nil
    }

    /// Every file and folder that holds the model: a folder below that has GGUF files is named by the first of them.
    package var containers: [String] {
        let below = Set(files.compactMap { $0.lastIndex(of: "/").map($0.prefix(upTo:)) })
        let others = below.sorted().map { name in
            unpacked.file(files.filter { $0.hasPrefix(name + "/") && $0.hasSuffix(".gguf") }.min() ?? String(name))
        }
        return (gguf.map { [$0] } ?? []) + [folder] + others
    }

    private static func unpack(_ packed: Data, count: Int) throws -> Data {
        var content = Data(count: count)
        let result = content.withUnsafeMutableBytes { to in
            packed.withUnsafeBytes { ZSTD_decompress(to.baseAddress, to.count, $0.baseAddress, $0.count) }
        }
        guard ZSTD_isError(result) == 0, result == count else { throw CocoaError(.fileReadCorruptFile) }
        return content
    }
}
