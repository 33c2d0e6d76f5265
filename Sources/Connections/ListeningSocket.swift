// The socket that the server listens on: a TCP port, or a Unix socket that only this user reaches.

import Glibc
import Settings

/// A socket that listens. Close it with `remove` when no connection is taken any more.
struct ListeningSocket: Sendable {
    /// Non-blocking.
    let descriptor: Int32
    /// Where it listens; with the port that the system chose for port 0.
    let address: ServerAddress
    /// Which file a Unix socket is, so that only that one is removed.
    private let file: (device: dev_t, inode: ino_t)?

    /// Binds and listens.
    ///
    /// - Throws: what to do about it, where the address cannot be had.
    init(_ address: ServerAddress) throws(InvalidConfiguration) {
        switch address {
        case .tcp(let host, let port): try self.init(host: host, port: port)
        case .unix(let path): try self.init(path: path)
        }
    }

    /// Removes the file of a Unix socket, unless another server's is in its place.
    func remove() {
        guard case .unix(let path) = address, let file else { return }
        Self.alone(inFolderOf: path) {
            var status = stat()
            if lstat(path, &status) == 0, status.st_dev == file.device, status.st_ino == file.inode { unlink(path) }
        }
    }

    // MARK: - TCP

    private init(host: String, port: Int) throws(InvalidConfiguration) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0, let found else {
            throw Self.invalid("\(host) is no address: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(found) }
        let descriptor = try Self.socket(found.pointee.ai_family)
        var isOn: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0,
            listen(descriptor, Self.backlog) == 0
        else {
            let reason = errno
            close(descriptor)
            throw Self.cannotBind(host, port, reason)
        }
        self.descriptor = descriptor
        self.address = .tcp(host: host, port: Self.port(of: descriptor))
        file = nil
    }

    private static func cannotBind(_ host: String, _ port: Int, _ reason: Int32) -> InvalidConfiguration {
        switch reason {
        case EADDRINUSE:
            invalid("port \(port) of \(host) is in use by another program; choose another port, or stop it")
        case EACCES: invalid("port \(port) is for the administrator only; choose one above 1023")
        case EADDRNOTAVAIL: invalid("\(host) is no address of this machine; `ip address` shows those that are")
        default: invalid("cannot listen on port \(port) of \(host): \(String(cString: strerror(reason)))")
        }
    }

    private static func port(of descriptor: Int32) -> Int {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &address) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
            // The port is at the same place for both families.
            return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                Int(UInt16(bigEndian: $0.pointee.sin_port))
            }
        }
    }

    // MARK: - Unix

    private init(path: String) throws(InvalidConfiguration) {
        let result = Self.alone(inFolderOf: path) { () -> Result<Self, InvalidConfiguration> in
            do throws(InvalidConfiguration) { return .success(try Self(alone: path)) } catch { return .failure(error) }
        }
        guard let result else {
            throw Self.invalid("\(path): the folder cannot be opened: \(String(cString: strerror(errno)))")
        }
        self = try result.get()
    }

    /// The caller keeps other servers from doing the same.
    private init(alone path: String) throws(InvalidConfiguration) {
        var status = stat()
        if lstat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFSOCK else {
                throw Self.invalid("\(path) exists and is no socket; choose another path")
            }
            guard try !Self.somebodyListens(on: path) else {
                throw Self.invalid("a server listens on \(path) already; stop it, or choose another path")
            }
            unlink(path)
        }
        let descriptor = try Self.socket(AF_UNIX)
        // The file gets the socket's own mode when it is made: at no moment does another user reach it.
        guard fchmod(descriptor, 0o600) == 0,
            Self.withAddress(of: path, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, Self.backlog) == 0,
            lstat(path, &status) == 0
        else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw Self.invalid("cannot listen on \(path): \(reason)")
        }
        self.descriptor = descriptor
        address = .unix(path: path)
        file = (status.st_dev, status.st_ino)
    }

    /// Whether the socket is of a living server; that of one that died takes no connections.
    private static func somebodyListens(on path: String) throws(InvalidConfiguration) -> Bool {
        let descriptor = try socket(AF_UNIX)
        defer { close(descriptor) }
        // A full backlog (EAGAIN) is a living server's too.
        return withAddress(of: path) { connect(descriptor, $0, $1) } == 0 || errno != ECONNREFUSED
    }

    private static func withAddress<Value>(
        of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Runs `body` while no other server looks after sockets in the same folder; nil if that cannot be opened.
    private static func alone<Value>(inFolderOf path: String, _ body: () -> Value) -> Value? {
        let folder = String(path[...path.lastIndex(of: "/")!])
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        flock(descriptor, LOCK_EX)
        return body()
    }

    // MARK: - Both

    private static let backlog: Int32 = 256

    private static func socket(_ family: Int32) throws(InvalidConfiguration) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = Glibc.socket(family, type, 0)
        guard descriptor >= 0 else { throw invalid("cannot make a socket: \(String(cString: strerror(errno)))") }
        return descriptor
    }

    private static func invalid(_ reason: String) -> InvalidConfiguration {
        InvalidConfiguration(place: "server.listen", reason: reason)
    }
}
