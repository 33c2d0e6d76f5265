// The tiny golden model's file, whose tokenizer and template tests use, and its vocabulary as a fake language.

import Foundation
package import ModelFiles
import TestSupport
package import Tokenizers

/// A random llama with a real tokenizer, in 100 kB.
package enum TinyModel {
    /// The model file.
    package static let path = Locations.golden("tiny/tiny-f32.gguf").path
    package static let metadata = try! GGUFFile(path: path).metadata
    package static let tokenizer = try! Tokenizer(metadata)
    /// What a fake device speaks that runs the model file.
    package static let language = FakeLanguage(
        vocabularySize: tokenizer.vocabularySize, endOfGeneration: tokenizer.endOfGenerationTokens)
    /// The context length that the file states.
    package static let contextLength = 256
}
