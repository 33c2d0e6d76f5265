// Makes a model's tokenizer, whatever the container.

public import ModelFiles

extension Tokenizer {
    /// Makes the tokenizer of a model.
    ///
    /// - Parameter preTokenizer: the pre-tokeniser of a GGUF file, instead of the one that the file names. Others are
    ///   refused.
    /// - Throws: `TokenizerError` with file and place, if something is wrong or not supported.
    public convenience init(_ files: TokenizerFiles, preTokenizer: String? = nil) throws(TokenizerError) {
        switch files {
        case .gguf(let metadata): try self.init(metadata, preTokenizer: preTokenizer)
        case .huggingFace(let files):
            if let preTokenizer { throw .needlessPreTokenizer(preTokenizer, "the tokenizer of a folder", files.path) }
            try self.init(huggingFace: files)
        }
    }
}
