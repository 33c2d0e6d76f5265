// Errors of a model's tokenizer or chat template, with messages for people.

public import Jinja
public import ModelFiles

/// Why a tokenizer or chat template cannot be used.
public enum TokenizerError: Error, CustomStringConvertible {
    /// A metadata key is missing or of another type.
    case file(ModelFileError)
    /// `tokenizer.ggml.model` is not byte-level BPE.
    case unsupportedModel(path: String, model: String)
    /// `tokenizer.ggml.pre` is an unknown pre-tokeniser.
    case unknownPreTokenizer(path: String, name: String, known: [String])
    /// The vocabulary, merges or special tokens are inconsistent.
    case inconsistent(path: String, reason: String)
    /// The model has no chat template (of that name).
    case missingChatTemplate(path: String)
    /// The model's chat template does not parse, so no conversation can be rendered.
    case invalidChatTemplate(path: String, JinjaError)
    /// The search for pieces of a text was stopped at a byte `offset`. Other texts are not affected.
    case patternFailed(offset: Int, reason: String)
    /// The chat template rejected this conversation, or failed on it. Other conversations may work.
    case conversation(JinjaError)

    /// One line for people: file, value and remedy.
    public var description: String {
        switch self {
        case .file(let error):
            error.description
        case .unsupportedModel(let path, let model):
            "\(path): tokenizer model \"\(model)\" is not supported; only byte-level BPE (\"gpt2\") is"
        case .unknownPreTokenizer(let path, let name, let known):
            "\(path): pre-tokeniser \"\(name)\" (tokenizer.ggml.pre) is not known; known are "
                + known.joined(separator: ", ")
        case .inconsistent(let path, let reason):
            "\(path): \(reason); the file was not converted correctly"
        case .missingChatTemplate(let path):
            "\(path): the model has no chat template (tokenizer.chat_template); send a prompt instead of messages"
        case .invalidChatTemplate(let path, let error):
            "\(path): \(error); send a prompt instead of messages"
        case .patternFailed(let offset, let reason):
            "the text cannot be cut into pieces at byte \(offset): \(reason); shorten its longest run of white space"
        case .conversation(let error):
            "\(error); mend the messages, or send a prompt instead of them"
        }
    }
}
