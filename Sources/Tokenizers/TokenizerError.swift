// What can be wrong with a model's tokenizer or chat template, in words for a person.

public import Jinja
public import ModelFiles

/// A tokenizer or chat template that cannot be used, and why.
public enum TokenizerError: Error, CustomStringConvertible {
    /// A metadata key is missing or of another type.
    case file(ModelFileError)
    /// `tokenizer.ggml.model` names another kind than byte-level BPE.
    case unsupportedModel(path: String, model: String)
    /// `tokenizer.ggml.pre` names a pre-tokeniser that is not known here.
    case unknownPreTokenizer(path: String, name: String, known: [String])
    /// The vocabulary, merges or special tokens contradict each other.
    case inconsistent(path: String, reason: String)
    /// The model has no chat template (of that name).
    case missingChatTemplate(path: String)
    /// The model's chat template does not parse: no conversation can be rendered.
    case invalidChatTemplate(path: String, JinjaError)
    /// The search for the pieces of a text was given up at a byte of a stretch of it; other texts are not affected.
    case patternFailed(offset: Int, reason: String)
    /// The chat template refused this conversation, or failed on it; the model is usable for others.
    case conversation(JinjaError)

    /// One line for a person: file, value and remedy.
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
