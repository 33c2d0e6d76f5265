// What an enqueue reads: a file by its path, or bytes that come from elsewhere.

public import OpenAIFormats
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

    /// One request that came alone: the line of a file with this body, a JSON object.
    public static func request(_ body: [UInt8], _ endpoint: Endpoint) -> PromptSource {
        // Outside of strings, which have none, the end of a line is as good as a space.
        let body = body.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") ? UInt8(ascii: " ") : $0 }
        let head = #"{"custom_id":"request","method":"POST","url":"\#(endpoint.rawValue)","body":"#
        var rest = (Array(head.utf8) + body + Array("}".utf8))[...]
        return .bytes(
            { (output) throws(InputFailure) in
                let part = rest.prefix(output.count)
                output.copyBytes(from: part)
                rest = rest.dropFirst(part.count)
                return part.count
            }, name: "online request")
    }

    /// A file descriptor, which the caller closes, under a name.
    static func descriptor(_ descriptor: Int32, name: String) -> PromptSource {
        PromptSource(name: name) { options in
            PromptFileReader(descriptor: descriptor, name: name, options: options)
        }
    }
}
