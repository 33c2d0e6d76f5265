// Files as clients of the server see them: what they uploaded, and the results and errors of batches.

public import Runtime

/// The identifier of a file: `file-` and 32 hexadecimal digits, which nobody can guess.
public struct FileID: RawRepresentable, Hashable, Codable, Sendable, CustomStringConvertible {
    /// The whole text.
    public let rawValue: String

    /// Parses an identifier; nil if the text is none.
    public init?(rawValue: String) {
        let digits = rawValue.utf8.dropFirst(5)
        let isHexadecimal = digits.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        guard rawValue.hasPrefix("file-"), digits.count == 32, isHexadecimal else { return nil }
        self.rawValue = rawValue
    }

    /// A new identifier.
    public static func random(using generator: inout some RandomNumberGenerator) -> FileID {
        let digits = (0..<32).map { _ in String(Int.random(in: 0..<16, using: &generator), radix: 16) }
        return FileID(rawValue: "file-" + digits.joined())!
    }

    /// A new identifier.
    public static func random() -> FileID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// The whole text.
    public var description: String { rawValue }
}

/// An uploaded file. Its contents lie where the server keeps them, not in the store.
public struct UploadedFile: Hashable, Sendable {
    /// Its identifier.
    public var id: FileID
    /// Whose it is; nil: for whoever sees all.
    public var tenant: Tenant?
    /// The client's name for it; never a path.
    public var name: String
    /// What the client wants to do with it: `batch`.
    public var purpose: String
    /// Its length.
    public var bytes: Int64
    /// When it was complete.
    public var created: Milliseconds
    /// When it is deleted; nil: never by itself.
    public var expires: Milliseconds?

    /// Makes the description of a file.
    public init(
        id: FileID, tenant: Tenant?, name: String, purpose: String, bytes: Int64, created: Milliseconds,
        expires: Milliseconds?
    ) {
        self.id = id
        self.tenant = tenant
        self.name = name
        self.purpose = purpose
        self.bytes = bytes
        self.created = created
        self.expires = expires
    }
}

/// Which results of a batch a file has.
public enum ResultFileKind: Hashable, Sendable, CaseIterable {
    /// Those of jobs that succeeded.
    case output
    /// The others.
    case errors

    /// The states of its jobs.
    public var states: Set<JobState> { self == .output ? [.succeeded] : [.failed, .expired, .cancelled] }
}

/// The identifiers of a batch's two files of results, which clients may ask for while it runs.
public struct ResultFiles: Hashable, Codable, Sendable {
    /// The file of jobs that succeeded; nil: a client deleted it.
    public var output: FileID?
    /// The file of the other jobs that ended; nil: a client deleted it.
    public var errors: FileID?
    /// Until when they are served; nil: as long as the batch is kept.
    public var expires: Milliseconds?

    /// Makes the identifiers of a batch's files.
    public init(output: FileID?, errors: FileID?, expires: Milliseconds? = nil) {
        self.output = output
        self.errors = errors
        self.expires = expires
    }

    /// New identifiers.
    public static func random() -> ResultFiles { ResultFiles(output: .random(), errors: .random()) }

    /// The file of a kind; nil: it was deleted.
    public subscript(kind: ResultFileKind) -> FileID? { kind == .output ? output : errors }
}

/// What a client of the server said of a batch that it made of an uploaded file.
public struct Submission: Hashable, Codable, Sendable {
    /// The uploaded file.
    public var inputFile: FileID
    /// The endpoint that all lines must have.
    public var endpoint: String
    /// The time that the batch may take, in the client's words: `24h`.
    public var window: String
    /// The client's notes, as a JSON object of texts; nil: it made none.
    public var metadata: String?

    /// Makes the description of a submission.
    public init(inputFile: FileID, endpoint: String, window: String, metadata: String? = nil) {
        self.inputFile = inputFile
        self.endpoint = endpoint
        self.window = window
        self.metadata = metadata
    }
}
