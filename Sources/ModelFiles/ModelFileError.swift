// What can be wrong with a model file, in words for a person.

/// A model file that cannot be used, and why.
public enum ModelFileError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened or mapped.
    case unreadable(path: String, reason: String)
    /// The file was written to, cut short or lost while it was in use.
    case changed(path: String, how: String)
    /// The file is not GGUF, or a version or byte order that is not read.
    case notGGUF(path: String, reason: String)
    /// The file ends before what its header promises, at the byte `offset` or because of what stands there. It may be that
    /// somebody is just copying it.
    case incomplete(path: String, offset: Int, reason: String)
    /// The file contradicts itself or holds nonsense; `offset` is a byte position in it.
    case corrupt(path: String, offset: Int, reason: String)
    /// A metadata key that the architecture needs is absent or of another type.
    case missingKey(path: String, key: String, expected: String)
    /// A metadata value that this program cannot honour.
    case unsupported(path: String, what: String)
    /// A tensor that the architecture needs is absent.
    case missingTensor(path: String, name: String)
    /// A tensor has another shape than the metadata says it should; sizes are innermost first.
    case wrongShape(path: String, name: String, expected: [Int], found: [Int])

    /// Whether the same file may be usable at another time without anybody mending it: it is not there for a moment, its disk
    /// has trouble, somebody is just writing it. What its content is refused for stays.
    public var mayPass: Bool {
        switch self {
        case .unreadable, .changed, .incomplete: true
        case .notGGUF, .corrupt, .missingKey, .unsupported, .missingTensor, .wrongShape: false
        }
    }

    /// One line for a person: file, place, value and remedy.
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
