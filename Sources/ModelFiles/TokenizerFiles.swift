// Where a model's tokenizer and chat template are described.

/// What a tokenizer and a chat template are made of.
public enum TokenizerFiles: Sendable {
    /// The metadata of a GGUF file.
    case gguf(GGUFMetadata)
    /// The files of a Hugging Face folder.
    case huggingFace(HuggingFaceTokenizerFiles)

    /// The metadata of a GGUF file.
    ///
    /// - Throws: `ModelFileError.unsupported` for a folder.
    public func metadata() throws(ModelFileError) -> GGUFMetadata {
        switch self {
        case .gguf(let metadata): return metadata
        case .huggingFace(let files): throw .unsupported(path: files.path, what: "the tokenizer of a folder")
        }
    }
}
