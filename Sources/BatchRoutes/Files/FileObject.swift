// OpenAI's file object, of uploaded files and of results.

import JSONText
import Runtime
import StoreContract

/// A file as clients see it.
struct FileObject: Hashable, Sendable {
    var id: FileID
    var name: String
    var purpose: String
    /// Its length; of the results of a batch that runs, so far.
    var bytes: Int64
    var created: Milliseconds
    var expires: Milliseconds?

    init(_ file: UploadedFile) {
        id = file.id
        name = file.name
        purpose = file.purpose
        bytes = file.bytes
        created = file.created
        expires = file.expires
    }

    /// The results of a kind; nil if there are none, or they are no longer served.
    init?(_ kind: ResultFileKind, of batch: BatchSummary, bytes: Int64, now: Milliseconds) {
        guard let id = batch.servedFile(kind, at: now) else { return nil }
        self.id = id
        name = "\(batch.id)_\(kind == .output ? "output" : "errors").jsonl"
        purpose = "batch_output"
        self.bytes = bytes
        created = batch.created
        expires = batch.files.expires
    }

    /// Without members that have no value: OpenAI's description of the object does not know null there.
    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id.rawValue)), .init("object", "file"), .init("bytes", .int(bytes)),
            .init("created_at", .int(created.rawValue / 1000)), .init("filename", .string(name)),
            .init("purpose", .string(purpose)), .init("status", "processed"),
        ]
        if let expires { members.append(.init("expires_at", .int(expires.rawValue / 1000))) }
        return .object(members)
    }
}
