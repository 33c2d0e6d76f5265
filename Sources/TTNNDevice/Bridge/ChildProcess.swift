// A child process with a socket for requests and pipes for its output.

import Foundation
import Platform

/// How a child process ended.
enum ChildEnd: Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    var description: String {
        switch self {
        case .exited(let status): "it ended with status \(status)"
        case .signalled(let signal): "it was ended by signal \(signal) (\(String(cString: strsignal(signal))))"
        }
    }
}

/// A started child process. Used by one thread at a time.
final class ChildProcess {
    /// Its process id.
    let pid: pid_t
    private(set) var end: ChildEnd?
    private let outputs: [BridgeOutput]

    /// The descriptor of the child's socket.
    static let childSocket: Int32 = 3

    /// Starts `program`, which is searched in PATH, in its own process group, so that a terminal's signals to ttbatch
    /// do not reach it during a step.
    ///
    /// - Returns: the process and ttbatch's end of the socket, which the caller closes.
    static func start(
        _ program: String, _ arguments: [String], environment: [String: String], log: @escaping DeviceLog
    ) throws(BridgeError) -> (process: ChildProcess, socket: Int32) {
        var sockets: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        var errors: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0, pipe(&output) == 0, pipe(&errors) == 0
        else {
            let reason = String(cString: strerror(errno))
            for descriptor in sockets + output + errors where descriptor >= 0 { close(descriptor) }
            throw .system(reason)
        }
        for descriptor in sockets + output + errors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        defer { for descriptor in [sockets[1], output[1], errors[1]] { close(descriptor) } }
        var pid: pid_t = 0
        let result = spawn(&pid, program, arguments, environment, sockets[1], output[1], errors[1])
        guard result == 0 else {
            for descriptor in [sockets[0], output[0], errors[0]] { close(descriptor) }
            throw .system(String(cString: strerror(result)))
        }
        let outputs = [
            BridgeOutput(pipe: output[0], level: .info, log: log),
            BridgeOutput(pipe: errors[0], level: .warning, log: log),
        ]
        return (ChildProcess(pid: pid, outputs: outputs), sockets[0])
    }

    private init(pid: pid_t, outputs: [BridgeOutput]) {
        self.pid = pid
        self.outputs = outputs
    }

    deinit {
        // The process must not outlive the object.
        if end == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    /// Sends a signal, unless the process has ended.
    func send(_ signal: Int32) {
        if end == nil { kill(pid, signal) }
    }

    /// Waits until the process has ended or the deadline is over.
    @discardableResult
    func wait(until deadline: TimeLimit) -> ChildEnd? {
        var pause: UInt32 = 1000
        while end == nil {
            var status: Int32 = 0
            let result = waitpid(pid, &status, WNOHANG)
            if result == pid {
                end = status & 0x7F == 0 ? .exited((status >> 8) & 0xFF) : .signalled(status & 0x7F)
                outputs.forEach { $0.waitForEnd() }
            } else if result < 0, errno != EINTR {
                end = .exited(-1)
            } else if deadline.isOver {
                return nil
            } else {
                usleep(pause)
                pause = min(2 * pause, 100_000)
            }
        }
        return end
    }

    private static func spawn(
        _ pid: inout pid_t, _ program: String, _ arguments: [String], _ environment: [String: String],
        _ socket: Int32, _ output: Int32, _ errors: Int32
    ) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        posix_spawn_file_actions_adddup2(&actions, socket, childSocket)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        return posix_spawnp(&pid, program, &actions, &attributes, &argv, &envp)
    }
}
