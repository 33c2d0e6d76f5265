// The tiny golden model's file, whose tokenizer and template the tests use, and its vocabulary as a fake language.

import FakeModel
import Foundation
import Platform
import Tokenizers

@testable import BatchDaemon
@testable import ModelFiles
@testable import Prompts

enum TinyModel {
    static let goldenFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Golden")
    /// The model file.
    static let path = goldenFolder.appendingPathComponent("tiny/tiny-f32.gguf").path
    static let metadata = try! GGUFFile(path: path).metadata
    static let tokenizer = try! Tokenizer(metadata)
    /// What a fake device speaks that runs the model file.
    static let language = FakeLanguage(
        vocabularySize: tokenizer.vocabularySize, endOfGeneration: tokenizer.endOfGenerationTokens)
    /// The context length that the file states.
    static let contextLength = 256

    /// The model's metadata with another chat template, or none.
    static func metadata(template: String?) -> GGUFMetadata {
        var values = metadata.values
        values["tokenizer.chat_template"] = template.map { .string(Array($0.utf8)) }
        return GGUFMetadata(path: "m.gguf", values: values)
    }

    /// A chat template as if the model had it.
    static func template(_ source: String) -> ChatTemplateState {
        ChatTemplateState(metadata(template: source), tokenizer)
    }
}

/// A file of the repository, by its path from the root.
func repositoryFile(_ path: String) -> String {
    TinyModel.goldenFolder.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(path).path
}

/// A folder that is deleted with the object.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/batchdaemon-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of a file in the folder, written if `content` is given.
    func file(_ name: String, _ content: String? = nil) throws -> String {
        let file = path + "/" + name
        if let content { try Data(content.utf8).write(to: URL(fileURLWithPath: file)) }
        return file
    }
}
