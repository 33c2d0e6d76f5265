// SHA-256 of files, by the program that every Linux has for it.

import Foundation
import Glibc

/// `sha256sum` of coreutils.
public enum SHA256Sum {
    /// The SHA-256 of a file, in hexadecimal.
    ///
    /// The program is in a process group of its own, so that a Ctrl-C on the terminal does not end it.
    ///
    /// Not with Foundation's `Process`, whose `run()` reads past the end of a directory entry now and then.
    ///
    /// - Parameter isAbandoned: asked now and then; once it is true, the program is ended.
    /// - Throws: `ModelFileError.unreadable`, also if there is no such program.
    public static func of(
        _ path: String, unless isAbandoned: () -> Bool = { false }
    ) throws(ModelFileError) -> String {
        func failure(_ code: Int32) -> ModelFileError {
            .unreadable(path: path, reason: String(cString: strerror(code)))
        }
        guard let program else {
            throw .unreadable(path: path, reason: "sha256sum is not on the PATH; install coreutils")
        }
        var ends: [Int32] = [0, 0]
        // Another thread may start a process at any moment.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw failure(errno) }
        defer { ends.forEach { close($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        // Nor may it keep open what other threads are about to give to a process, such as the bridge's pipes.
        for descriptor in 3..<256 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        var words = [strdup(program), nil]
        defer { free(words[0]) }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, &attributes, &words, environ)
        guard code == 0 else { throw failure(code) }
        var status: Int32 = 0
        var wait: UInt32 = 1000
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process || ended < 0 && errno != EINTR { break }
            if isAbandoned() { kill(process, SIGKILL) }
            usleep(wait)
            wait = min(wait * 2, 50_000)
        }
        // Not read to its end, which a process that another thread starts at this moment may keep open.
        var output = [UInt8](repeating: 0, count: 64)
        guard status == 0, read(ends[0], &output, output.count) == output.count else {
            throw .unreadable(path: path, reason: "\(program) cannot read it")
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static var program: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return folders.lazy.map { "\($0)/sha256sum" }.first(where: FileManager.default.isExecutableFile)
    }
}
