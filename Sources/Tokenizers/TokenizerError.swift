// Errors of a model's tokenizer or chat template, with messages for people.

public import Jinja
public import ModelFiles

/// Why a tokenizer or chat template cannot be used.
public enum TokenizerError: Error, CustomStringConvertible {
    /// A metadata key is missing or of another type, or a file cannot be read.
    case file(ModelFileError)
    /// `tokenizer.ggml.model` is of a kind that is not supported; `kind` is what it is called elsewhere, if known.
    case unsupportedModel(path: String, model: String, kind: String?)
    /// `tokenizer.ggml.pre` is missing.
    case missingPreTokenizer(path: String)
    /// `tokenizer.ggml.pre` is an unknown pre-tokeniser.
    case unknownPreTokenizer(path: String, name: String, known: [String])
    /// `tokenizer.ggml.pre` is for models of another kind than byte-level BPE.
    case unsupportedPreTokenizer(path: String, name: String, kind: String)
    /// The vocabulary, merges or special tokens are inconsistent.
    case inconsistent(path: String, reason: String, remedy: String = "the file was not converted correctly")
    /// A file of a Hugging Face folder is wrong at a place, or has something there that is not supported.
    case folder(path: String, place: String, reason: String)
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
        case .unsupportedModel(let path, let model, let kind):
            "\(path): tokenizer model \"\(model)\"\(kind.map { " (\($0))" } ?? "") is not supported; supported are byte-level "
                + "BPE (\"gpt2\") and SentencePiece's BPE (\"llama\")"
        case .missingPreTokenizer(let path):
            "\(path): the pre-tokeniser (tokenizer.ggml.pre) is missing; \(Self.override), or convert the model anew"
        case .unknownPreTokenizer(let path, let name, let known):
            "\(path): pre-tokeniser \"\(name)\" (tokenizer.ggml.pre) is not known; \(Self.override); known are "
                + known.joined(separator: ", ")
        case .unsupportedPreTokenizer(let path, let name, let kind):
            "\(path): pre-tokeniser \"\(name)\" (tokenizer.ggml.pre: \(kind)) is not supported; take a model of "
                + "byte-level BPE"
        case .inconsistent(let path, let reason, let remedy):
            "\(path): \(reason); \(remedy)"
        case .folder(let path, let place, let reason):
            "\(path): \(place.isEmpty ? "" : place + ": ")\(reason)"
        case .missingChatTemplate(let path):
            "\(path): the model has no chat template; send a prompt instead of messages"
        case .invalidChatTemplate(let path, let error):
            "\(path): \(error); send a prompt instead of messages"
        case .patternFailed(let offset, let reason):
            "the text cannot be cut into pieces at byte \(offset): \(reason); shorten its longest run of white space"
        case .conversation(let error):
            "\(error); mend the messages, or send a prompt instead of them"
        }
    }

    /// A configured pre-tokeniser of a tokenizer that has none, or its own.
    static func needlessPreTokenizer(_ name: String, _ tokenizer: String, _ path: String) -> TokenizerError {
        .inconsistent(
            path: path, reason: "\(tokenizer) takes no pre-tokeniser, but the configuration names \"\(name)\"",
            remedy: "remove tokenizer.pre of the model")
    }

    private static let override =
        "set tokenizer.pre of the model in the configuration (models: NAME: tokenizer: pre: …) to the one it was made with"
}
