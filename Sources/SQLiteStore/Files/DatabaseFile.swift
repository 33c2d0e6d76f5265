// The database's place on disk: private, canonical, and never on a network filesystem.

import CSQLiteShim
import Glibc
import StoreContract

/// The path of a database, checked.
struct DatabaseFile {
    /// Absolute and without symbolic links, so that all users of this database use the same lock files.
    let path: String
    /// What a person should know about the place.
    let warnings: [String]

    /// Finds an existing database.
    init(existing path: String) throws(JobStoreError) {
        guard let canonical = Self.realPath(path) else {
            throw errno == ENOENT || errno == ENOTDIR ? .notFound(path: path) : .system("open", path)
        }
        try Self.checkIsNoFolder(canonical)
        self.path = canonical
        self.warnings = try Self.checkFilesystem(of: canonical)
    }

    /// Finds a database, or creates an empty private file and its folders.
    init(creating path: String) throws(JobStoreError) {
        if let canonical = Self.realPath(path) {
            try Self.checkIsNoFolder(canonical)
            self.path = canonical
            self.warnings = try Self.checkFilesystem(of: canonical)
            return
        }
        let (folder, name) = Self.split(path)
        try Self.createFolder(folder)
        guard let canonicalFolder = Self.realPath(folder) else { throw .system("open", folder) }
        self.warnings = try Self.checkFilesystem(of: canonicalFolder)
        self.path = (canonicalFolder == "/" ? "" : canonicalFolder) + "/" + name
        try Self.createFile(self.path)
    }

    private static func checkIsNoFolder(_ path: String) throws(JobStoreError) {
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else { return }
        throw .notAJobStore(path: path, reason: "a folder")
    }

    /// Throws for the first of the existing database files that this user may not read.
    func checkReadable() throws(JobStoreError) {
        for file in [path, path + "-wal", path + "-shm"] where access(file, R_OK) != 0 && errno != ENOENT {
            throw .system("read", file)
        }
    }

    /// Throws if the index of the write-ahead log is missing and this user may not create it. Any command of a user who
    /// may write the database creates it.
    func checkIndex() throws(JobStoreError) {
        let index = path + "-shm"
        guard access(index, F_OK) != 0, errno == ENOENT, access(Self.split(path).folder, W_OK) != 0 else { return }
        throw .system("create", index)
    }

    /// An address at which SQLite opens the file alone, without other files beside it; nil if a write-ahead log belongs
    /// to it. A writer always needs the log.
    var addressWithoutLog: String? {
        guard access(path + "-wal", F_OK) != 0, errno == ENOENT else { return nil }
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._".utf8)
        let hex = Array("0123456789abcdef")
        let escaped = path.utf8.map { byte in
            plain.contains(byte)
                ? String(UnicodeScalar(byte)) : "%\(hex[Int(byte) / 16])\(hex[Int(byte) % 16])"
        }
        return "file:" + escaped.joined() + "?immutable=1"
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = path[..<slash]
        return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
    }

    private static func createFolder(_ path: String) throws(JobStoreError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT else { throw .system("create the folder", path) }
        try createFolder(split(path).folder)
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .system("create the folder", path) }
    }

    /// `O_EXCL`: an existing file is never opened here, because closing it would release the locks that SQLite holds on
    /// it elsewhere in this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
    private static func createFile(_ path: String) throws(JobStoreError) {
        let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        if descriptor < 0 {
            guard errno == EEXIST else { throw .system("create", path) }
            return
        }
        close(descriptor)
        try syncFolder(of: path)
    }

    /// Makes the content of a file durable. Never for a database in use: closing it would release SQLite's locks.
    static func sync(_ path: String) throws(JobStoreError) {
        try sync(path, flags: O_RDONLY)
    }

    /// Makes the name of a file durable.
    static func syncFolder(of path: String) throws(JobStoreError) {
        try sync(split(path).folder, flags: O_RDONLY | O_DIRECTORY)
    }

    private static func sync(_ path: String, flags: Int32) throws(JobStoreError) {
        let descriptor = open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system("sync", path) }
    }

    /// The kind of the filesystem on which a file is.
    static func filesystem(of path: String) throws(JobStoreError) -> FilesystemKind {
        let type = csqlite_filesystem_type(path)
        guard type >= 0 else { throw .system("examine the filesystem of", path) }
        return FilesystemKind(magic: type)
    }

    private static func checkFilesystem(of path: String) throws(JobStoreError) -> [String] {
        switch try filesystem(of: path) {
        case .local: return []
        case .network(let kind): throw .networkFilesystem(path: path, kind: kind)
        case .doubtful(let kind):
            return ["\(path) lies on \(kind); if that is shared with other hosts, locks may not hold there"]
        }
    }
}

/// Whether SQLite's locks work on a filesystem, by the magic numbers of statfs(2).
enum FilesystemKind: Equatable, CustomStringConvertible {
    case local
    case network(String)
    case doubtful(String)

    var description: String {
        switch self {
        case .local: "local"
        case .network(let kind), .doubtful(let kind): kind
        }
    }

    init(magic: Int64) {
        // f_type is signed on some architectures.
        switch UInt32(truncatingIfNeeded: magic) {
        case 0x6969: self = .network("NFS")
        case 0x517B: self = .network("SMB")
        case 0xFF53_4D42: self = .network("CIFS")
        case 0xFE53_4D42: self = .network("SMB2")
        case 0x5346_414F, 0x6B41_4653: self = .network("AFS")
        case 0x00C3_6400: self = .network("Ceph")
        case 0x0BD0_0BD0: self = .network("Lustre")
        case 0x7375_7245: self = .network("Coda")
        case 0x6573_5546: self = .doubtful("FUSE")
        case 0x0102_1997: self = .doubtful("9p")
        default: self = .local
        }
    }
}
