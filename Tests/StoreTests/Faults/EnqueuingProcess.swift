// The built program, enqueuing some lines into a database that this process has open.

import Foundation
import Testing

/// `ttbatch enqueue` of a file with 500 lines, started.
final class EnqueuingProcess {
    private let process: pid_t
    private var end: Int32?

    init(into database: String, file: String) throws {
        let repository = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let program =
            ProcessInfo.processInfo.environment["TTBATCH_TEST_BINARY"]
            ?? repository.appending(path: ".build/release/ttbatch").path
        let model = repository.appending(path: "Tests/Golden/tiny/tiny-f16.gguf").path
        let lines = (1...500).map { #"{"prompt": "The number \#($0) is", "max_tokens": 4}"# + "\n" }
        try Data(lines.joined().utf8).write(to: URL(filePath: file))
        let words = [program, "enqueue", file, "--db", database, "--model", model]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        var streams = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&streams)
        defer { posix_spawn_file_actions_destroy(&streams) }
        posix_spawn_file_actions_addopen(&streams, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &streams, nil, &arguments, environ)
        guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EINVAL) }
        self.process = process
    }

    deinit {
        if !hasEnded { kill(process, SIGKILL) }
    }

    var hasEnded: Bool {
        var status: Int32 = 0
        if end == nil, waitpid(process, &status, WNOHANG) == process { end = status }
        return end != nil
    }

    /// Waits until it has ended, or for `seconds`.
    func wait(seconds: Double) {
        let limit = ContinuousClock.now + .seconds(seconds)
        while !hasEnded, ContinuousClock.now < limit { usleep(1000) }
    }

    /// Waits for its end; whether its lines were stored then.
    func succeeds() -> Bool {
        wait(seconds: 60)
        return end == 0
    }
}
