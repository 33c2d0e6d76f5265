// Other programs that do a part of the work.

import Foundation
import Glibc
import Terminal

/// A program of the PATH.
struct ProgramOnPath {
    /// Its file.
    let path: String

    /// The first program of that name; `nil` if there is none.
    init?(_ name: String) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        let paths = folders.lazy.map { "\($0)/\(name)" }
        guard let path = paths.first(where: FileManager.default.isExecutableFile) else { return nil }
        self.path = path
    }

    /// Becomes the program: its output, signals and exit code are this program's.
    func replaceProcess(_ arguments: [String]) throws -> Never {
        signal(SIGPIPE, SIG_DFL)
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        execv(path, &words)
        throw Failure(.operationalError, "\(path): cannot be run: \(String(cString: strerror(errno)))")
    }

    /// What the program prints when its input is the file at `input`.
    ///
    /// Not with Foundation's `Process`, whose `run()` reads past the end of a directory entry now and then.
    func output(input: String) throws -> String {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failure(input, errno) }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        var words = [strdup(path), nil]
        defer { free(words[0]) }
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, nil, &words, environ)
        close(ends[1])
        guard code == 0 else { throw Self.failure(input, code) }
        let output = Self.read(ends[0])
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw Failure(.operationalError, "\(input): \(path) cannot read it") }
        return String(decoding: output, as: UTF8.self)
    }

    private static func read(_ descriptor: Int32) -> [UInt8] {
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 { output += buffer[..<count] } else if count == 0 || errno != EINTR { return output }
        }
    }

    private static func failure(_ input: String, _ code: Int32) -> Failure {
        Failure(.operationalError, "\(input): \(String(cString: strerror(code))); check the path and its permissions")
    }
}
