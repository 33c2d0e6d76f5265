// The program, or another, as a child process, with its output in files so that no pipe can fill up.

package import Foundation

/// A started program.
///
/// Not with Foundation's `Process`, whose `run()` reads past the end of a directory entry now and then: once in some
/// thousand starts that is a page which is not there.
package final class RunningProgram: @unchecked Sendable {
    /// Its number.
    package let process: pid_t
    private let output: URL
    private let errors: URL
    // The status from waitpid, which returns it only once.
    private let lock = NSLock()
    private var ending: Int32?

    /// - Parameters:
    ///   - program: a path, or a name that is looked for in PATH.
    ///   - directory: where it runs, and where the files are that hold what it reads and prints.
    ///   - outputPath: where standard output goes instead of a file that the test reads.
    package init(
        _ arguments: [String], program: String = Locations.program.path, input: String? = nil,
        environment: [String: String], in directory: URL, outputPath: String? = nil
    ) throws {
        let name = UUID().uuidString
        output = directory.appending(path: name + ".out")
        errors = directory.appending(path: name + ".err")
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        var inputPath = "/dev/null"
        if let input {
            let file = directory.appending(path: name + ".in")
            try Data(input.utf8).write(to: file)
            inputPath = file.path
        }
        process = try Self.spawn(
            [program] + arguments, environment: environment, in: directory.path,
            streams: [(inputPath, O_RDONLY), (outputPath ?? output.path, O_WRONLY), (errors.path, O_WRONLY)])
    }

    private static func spawn(
        _ command: [String], environment: [String: String], in directory: String,
        streams: [(path: String, flags: Int32)]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_addopen(&actions, Int32(number), stream.path, stream.flags, 0)
        }
        // Threads of this process block signals, which the program is to get.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        // env changes the directory and then becomes the program.
        let env = "/usr/bin/env"
        var words = ([env, "-C", directory] + command).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, env, &actions, &attributes, &words, &variables)
        guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EINVAL) }
        return process
    }

    deinit {
        if isRunning {
            kill(process, SIGKILL)
            var status: Int32 = 0
            waitpid(process, &status, 0)
        }
    }

    /// Its wait status; nil while it runs.
    private var end: Int32? {
        lock.withLock {
            var status: Int32 = 0
            if ending == nil, waitpid(process, &status, WNOHANG) == process { ending = status }
            return ending
        }
    }

    package var isRunning: Bool { end == nil }

    /// What it has printed so far.
    package var outputSoFar: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

    /// What it has said so far.
    package var errorsSoFar: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

    package func send(_ signal: Int32) { if isRunning { kill(process, signal) } }

    /// Waits for the end; whether it came within `limit`.
    package func ends(within limit: Duration) -> Bool {
        let deadline = ContinuousClock.now + limit
        while isRunning {
            if ContinuousClock.now > deadline { return false }
            usleep(1000)
        }
        return true
    }

    /// What it left; waits for the end, however long it takes.
    package func outcome() throws -> Outcome {
        while isRunning { usleep(1000) }
        let status = end ?? 0
        // Death by a signal is reported as in shells.
        let signal = status & 0x7F
        return Outcome(
            status: signal == 0 ? status >> 8 & 0xFF : 128 + signal,
            output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// The most memory that it has had so far, bytes; nil once it has ended.
    package var peakMemory: Int? {
        guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes * 1024
    }
}

/// What a finished program left.
package struct Outcome: Sendable {
    package let status: Int32
    package let output: String
    package let errors: String

    /// The lines of the output.
    package var lines: [String] { output.split(separator: "\n", omittingEmptySubsequences: true).map(String.init) }
}
