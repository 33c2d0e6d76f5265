// SHA-256 of files, by the program that every Linux has for it.

import Foundation
import Glibc

/// `sha256sum` of coreutils.
public enum SHA256Sum {
    /// The SHA-256 of a file, in hexadecimal.
    ///
    /// Not with Foundation's `Process`, whose `run()` reads past the end of a directory entry now and then.
    ///
    /// - Throws: `ModelFileError.unreadable`, also if there is no such program.
    public static func of(_ path: String) throws(ModelFileError) -> String {
        func failure(_ code: Int32) -> ModelFileError {
            .unreadable(path: path, reason: String(cString: strerror(code)))
        }
        guard let program else {
            throw .unreadable(path: path, reason: "sha256sum is not on the PATH; install coreutils")
        }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failure(errno) }
        defer { ends.forEach { close($0) } }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        var words = [strdup(program), nil]
        defer { free(words[0]) }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, nil, &words, environ)
        guard code == 0 else { throw failure(code) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
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
