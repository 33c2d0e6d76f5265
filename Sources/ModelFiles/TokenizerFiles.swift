// Where a model's tokenizer and chat template are described.

/// What a tokenizer and a chat template are made of.
public enum TokenizerFiles: Sendable {
    /// The metadata of a GGUF file.
    case gguf(GGUFMetadata)
    /// The files of a Hugging Face folder.
    case huggingFace(HuggingFaceTokenizerFiles)
}
