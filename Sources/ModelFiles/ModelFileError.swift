// Errors of model files, with messages for people.

/// Why a model file cannot be used.
public enum ModelFileError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened or mapped.
    case unreadable(path: String, reason: String)
    /// The file was written to, cut short or lost while it was in use.
    case changed(path: String, how: String)
    /// The file is not GGUF, or has a version or byte order that is not supported.
    case notGGUF(path: String, reason: String)
    /// The file ends at the byte `offset`, before the end that its header gives. It may still be being copied.
    case incomplete(path: String, offset: Int, reason: String)
    /// The file is inconsistent or contains invalid values; `offset` is a byte position in it.
    case corrupt(path: String, offset: Int, reason: String)
    /// A file that another one names does not exist. It may still be being copied.
    case missingFile(path: String, neededBy: String)
    /// Files of one model, or what one of them says in two places, do not fit together.
    case contradiction(path: String, what: String)
    /// A folder without the files of a model.
    case noModel(path: String, reason: String)
    /// The text of a file is not JSON, or its JSON is of another form.
    case notJSON(path: String, place: String, problem: String)
    /// A key that the architecture needs is absent.
    case missingKey(path: String, key: String, expected: String)
    /// A key has a value of another kind, or one that is not possible.
    case wrongValue(path: String, key: String, found: String, expected: String)
    /// A value that this program does not support.
    case unsupported(path: String, what: String)
    /// The weights are stored in a way that this program does not support.
    case quantized(path: String, method: String)
    /// A tensor that the architecture needs is absent.
    case missingTensor(path: String, name: String)
    /// The shape of a tensor differs from the one that the metadata implies; sizes are innermost first.
    case wrongShape(path: String, name: String, expected: [Int], found: [Int])

    /// Whether the same file may become usable without a repair: it is missing for a moment, its disk has errors, or it
    /// is being written. Errors in its content are permanent.
    public var mayPass: Bool {
        switch self {
        case .unreadable, .changed, .incomplete, .missingFile: true
        case .notGGUF, .corrupt, .contradiction, .noModel, .notJSON, .missingKey, .wrongValue, .unsupported, .quantized,
            .missingTensor, .wrongShape:
            false
        }
    }

    /// One line for people: file, place, value and remedy.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(path): \(reason); check the path and its permissions"
        case .changed(let path, let how):
            "\(path): was changed while it was in use: \(how); put another file in its place by renaming, never by writing "
                + "into it"
        case .notGGUF(let path, let reason):
            "\(path): not a usable GGUF file: \(reason); convert the model to little-endian GGUF of version 2 or 3"
        case .incomplete(let path, let offset, let reason):
            "\(path): byte \(offset): \(reason); the file is incomplete or damaged, let its copying end or fetch it again"
        case .corrupt(let path, let offset, let reason):
            "\(path): byte \(offset): \(reason); the file is damaged, fetch it again"
        case .missingFile(let path, let neededBy):
            "\(path): is missing, and \(neededBy) needs it; let its copying end or fetch it again"
        case .contradiction(let path, let what):
            "\(path): \(what); the files do not belong together, fetch the model again"
        case .noModel(let path, let reason):
            "\(path): \(reason)"
        case .notJSON(let path, let place, let problem):
            "\(path): \(place): \(problem); the file is damaged, fetch it again"
        case .missingKey(let path, let key, let expected):
            "\(path): the key \(key) (\(expected)) is missing; the model was not converted completely"
        case .wrongValue(let path, let key, let found, let expected):
            "\(path): the key \(key) is \(found) instead of \(expected)"
        case .unsupported(let path, let what):
            "\(path): \(what) is not supported"
        case .quantized(let path, let method):
            "\(path): weights quantized by \(method) are not supported; take the model's F32, F16 or BF16 weights, or a GGUF "
                + "file of it"
        case .missingTensor(let path, let name):
            "\(path): tensor \(name) is missing; the model was not converted completely"
        case .wrongShape(let path, let name, let expected, let found):
            "\(path): tensor \(name) has shape \(found), the metadata says \(expected)"
        }
    }
}
