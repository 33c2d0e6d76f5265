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
    /// A metadata key that the architecture needs is absent or of another type.
    case missingKey(path: String, key: String, expected: String)
    /// A metadata value that this program does not support.
    case unsupported(path: String, what: String)
    /// A tensor that the architecture needs is absent.
    case missingTensor(path: String, name: String)
    /// The shape of a tensor differs from the one that the metadata implies; sizes are innermost first.
    case wrongShape(path: String, name: String, expected: [Int], found: [Int])

    /// Whether the same file may become usable without a repair: it is missing for a moment, its disk has errors, or it
    /// is being written. Errors in its content are permanent.
    public var mayPass: Bool {
        switch self {
        case .unreadable, .changed, .incomplete: true
        case .notGGUF, .corrupt, .missingKey, .unsupported, .missingTensor, .wrongShape: false
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
            "\(path): not a usable GGUF file: \(reason); convert the model to little-endian GGUF version 3"
        case .incomplete(let path, let offset, let reason):
            "\(path): byte \(offset): \(reason); the file is incomplete or damaged, let its copying end or fetch it again"
        case .corrupt(let path, let offset, let reason):
            "\(path): byte \(offset): \(reason); the file is damaged, fetch it again"
        case .missingKey(let path, let key, let expected):
            "\(path): metadata key \(key) (\(expected)) is missing; the file was not converted completely"
        case .unsupported(let path, let what):
            "\(path): \(what) is not supported"
        case .missingTensor(let path, let name):
            "\(path): tensor \(name) is missing; the file was not converted completely"
        case .wrongShape(let path, let name, let expected, let found):
            "\(path): tensor \(name) has shape \(found), the metadata says \(expected)"
        }
    }
}
