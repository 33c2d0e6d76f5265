// What the tests share: the real model's tokenizer, and the golden files.

import Foundation
import TestSupport
import Testing

@testable import ModelFiles
@testable import Tokenizers

enum TestModel {
    /// The model file named by the environment, if any.
    static let path = Locations.realModel
    /// The model's metadata; used by tests that are enabled only with a model.
    static let metadata = try! GGUFFile(path: path!).metadata
    /// The model's own tokenizer.
    static let tokenizer = try! Tokenizer(metadata)

    /// The model's vocabulary with another pre-tokeniser.
    static func tokenizer(pre: String) throws -> Tokenizer {
        try Tokenizer(metadata.replacing("tokenizer.ggml.pre", with: .string(Array(pre.utf8))))
    }
}

extension GGUFMetadata {
    /// The metadata with one key replaced, or removed where `value` is `nil`.
    func replacing(_ key: String, with value: MetadataValue?) -> GGUFMetadata {
        var values = self.values
        values[key] = value
        return GGUFMetadata(path: path, values: values)
    }
}

/// A file of Tests/Golden.
func golden(_ path: String) throws -> Data { try Data(contentsOf: Locations.golden(path)) }

/// A file of golden data, one JSON object on each line.
func goldenRows<Row: Decodable>(_ file: String, as type: Row.Type) throws -> [Row] {
    try golden("tokenizers/\(file).jsonl").split(separator: UInt8(ascii: "\n")).map {
        try JSONDecoder().decode(Row.self, from: $0)
    }
}
