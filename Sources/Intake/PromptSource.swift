// What an enqueue reads: a file by its path, or bytes that come from elsewhere.

public import PromptFiles

/// A prompt file that is to be stored.
public struct PromptSource {
    /// Its name in messages, and the name of its batch.
    let name: String
    let open: (PromptFileReader.Options) throws(PromptFileError) -> PromptFileReader

    /// The file at `path`; `-` is standard input.
    public static func file(_ path: String) -> PromptSource {
        PromptSource(name: path) { (options) throws(PromptFileError) in
            try PromptFileReader(path: path, options: options)
        }
    }

    /// What `input` gives, packed or not, under a name.
    public static func bytes(_ input: @escaping ByteInput, name: String) -> PromptSource {
        PromptSource(name: name) { options in PromptFileReader(reading: input, name: name, options: options) }
    }

    /// A file descriptor, which the caller closes, under a name.
    static func descriptor(_ descriptor: Int32, name: String) -> PromptSource {
        PromptSource(name: name) { options in
            PromptFileReader(descriptor: descriptor, name: name, options: options)
        }
    }
}
