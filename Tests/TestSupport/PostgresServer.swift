// A PostgreSQL server of the tests' own, in a temporary folder, on a socket there.

import Foundation
import Glibc

/// A server, which ends with the object or with the process of the tests.
package final class PostgresServer: Sendable {
    /// The folder of PostgreSQL's programs; nil if there are none. `etc/test` prepares them.
    package static let programs = ProcessInfo.processInfo.environment["TTBATCH_TEST_POSTGRES"]

    /// Where another user comes, and the path of a socket is short. In memory if there is room: a database has hundreds of files, and
    /// making and deleting them again and again is most of what a disk's file system does in these tests.
    private static let place: String = {
        var room = statvfs()
        let isRoomy = statvfs("/dev/shm", &room) == 0 && UInt64(room.f_bavail) * UInt64(room.f_frsize) > 4 << 30
        return isRoomy && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    }()
    private let folder: String
    private let programs: String
    /// An end of a pair of sockets whose other end the server's keeper reads: it closes with this process, however that ends.
    private let keeper: Int32
    private let keeperProcess: pid_t
    /// One command at a time.
    private let control = NSLock()

    /// Makes and starts a server. It is not synced to the disk, for no test cuts the power.
    ///
    /// - Parameters:
    ///   - settings: further lines of postgresql.conf.
    ///   - smallDisk: megabytes of a file system of its own in memory, at `smallDisk`; it takes root.
    ///   - primary: if not nil, the server is its asynchronous standby, with all that it has.
    package init(_ settings: [String] = [], smallDisk: Int? = nil, standbyOf primary: PostgresServer? = nil) throws {
        guard let programs = Self.programs else {
            throw PostgresServerFailure(words: "TTBATCH_TEST_POSTGRES is not set")
        }
        self.programs = programs
        var template = Array("\(Self.place)/ttbatch-pg-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw PostgresServerFailure(words: "no folder can be made in \(Self.place)")
        }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // As root it runs as the user that the package makes: PostgreSQL refuses to be root.
        let isRoot = geteuid() == 0
        if isRoot, let user = getpwnam("postgres") {
            chown(folder, user.pointee.pw_uid, user.pointee.pw_gid)
        }
        // Whoever runs the tests reaches the socket.
        chmod(folder, 0o755)
        let all =
            [
                "listen_addresses = ''", "unix_socket_directories = '\(folder)'", "fsync = off",
                "full_page_writes = off", "max_connections = 200", "shared_buffers = 64MB",
                "log_line_prefix = '%m %p %a '",
                // A stop waits for who has connected and says nothing: networks of tests do that.
                "authentication_timeout = 5s",
            ] + settings
        try Data(all.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: folder + "/settings"))
        let origin =
            if let primary {
                "'\(programs)/pg_basebackup' -h '\(primary.folder)' -U tests -D data -R -X stream -c fast --no-sync"
            } else {
                "'\(programs)/initdb' -D data -U tests -A trust -E UTF8 --locale=C --no-sync"
            }
        let script = """
            set -e
            cd '\(folder)'
            \(origin) >initdb.log 2>&1
            cat settings >>data/postgresql.conf
            control() { '\(programs)/pg_ctl' -D data -l server.log -t 300 -w "$@" >pg_ctl.log 2>&1 </dev/null; }
            control start
            while read -r words; do
                if control $words; then echo done >&0; else echo failed >&0; fi
            done
            control stop -m immediate || true
            cd /
            rm -rf '\(folder)'
            """
        let file = folder + "/keeper.sh"
        try Data(script.utf8).write(to: URL(filePath: file))
        var ends: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw PostgresServerFailure(words: "no socket pair") }
        var words = isRoot ? ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] : []
        words += ["/bin/sh", file]
        if let smallDisk {
            let disk = folder + "/disk"
            let mount =
                "mkdir '\(disk)' && mount -t tmpfs -o size=\(smallDisk)m,uid=postgres,mode=700 none '\(disk)' && exec \"$@\""
            words = ["unshare", "-m", "/bin/sh", "-c", mount, "sh"] + words
        }
        keeper = ends[1]
        keeperProcess = try Self.spawn(words, input: ends[0])
        close(ends[0])
        try waitUntilReady()
    }

    private static func spawn(_ words: [String], input: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        var arguments = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        var variables = [strdup("PATH=/usr/bin:/bin"), nil]
        defer { free(variables[0]) }
        var process: pid_t = 0
        let code = posix_spawnp(&process, words[0], &actions, nil, &arguments, &variables)
        guard code == 0 else { throw PostgresServerFailure(words: String(cString: strerror(code))) }
        return process
    }

    private func waitUntilReady() throws {
        for _ in 0..<600 {
            if (try? run("psql", ["-Atqc", "SELECT 1", "postgres"])) != nil { return }
            usleep(100_000)
        }
        let logs = ["initdb.log", "server.log"].map {
            (try? String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)) ?? ""
        }
        throw PostgresServerFailure(words: logs.joined(separator: "\n"))
    }

    deinit {
        close(keeper)
        var status: Int32 = 0
        waitpid(keeperProcess, &status, 0)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The folder of its socket.
    package var socketFolder: String { folder }

    /// Its small file system.
    package var smallDisk: String { folder + "/disk" }

    /// Who may come in, and how: pg_hba.conf.
    package var accessFile: String { folder + "/data/pg_hba.conf" }

    /// What it has said.
    package var log: String { (try? String(contentsOfFile: folder + "/server.log", encoding: .utf8)) ?? "" }

    /// Ways to stop it: sessions are told, or all its processes end at once as in a crash.
    package enum Stop: String, CaseIterable, Sendable { case fast, immediate }

    /// Stops it.
    package func stop(_ mode: Stop = .fast) throws { try command("stop -m \(mode.rawValue)") }

    /// Starts it again.
    package func start() throws { try command("start") }

    /// Lets a standby take the place of its primary.
    package func promote() throws { try command("promote") }

    /// Stops it and starts it again.
    package func restart(_ mode: Stop) throws { try command("restart -m \(mode.rawValue)") }

    /// Has the keeper, which is its user, call pg_ctl.
    private func command(_ words: String) throws {
        let answer = try control.withLock {
            let line = Array("\(words)\n".utf8)
            guard send(keeper, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else {
                throw PostgresServerFailure(words: "the server's keeper has ended")
            }
            var answer: [UInt8] = []
            var byte: UInt8 = 0
            while read(keeper, &byte, 1) == 1, byte != UInt8(ascii: "\n") { answer.append(byte) }
            return String(decoding: answer, as: UTF8.self)
        }
        guard answer == "done" else { throw PostgresServerFailure(words: "pg_ctl \(words): \(answer); \(log)") }
    }

    /// The URI of one of its databases.
    ///
    /// - Parameter folder: that of another socket, which leads to this server.
    package func uri(_ database: String = "postgres", by folder: String? = nil) -> String {
        let host = (folder ?? socketFolder).replacing("/", with: "%2F")
        return "postgres://tests@\(host)/\(database)"
    }

    /// The URI of one of its databases, on whichever of two servers can be written to.
    package func uri(_ database: String, orAt other: PostgresServer) -> String {
        let hosts = [socketFolder, other.socketFolder].map { $0.replacing("/", with: "%2F") }
        return "postgres://tests@\(hosts.joined(separator: ","))/\(database)"
    }

    /// Runs one of PostgreSQL's programs on this server; returns what it prints.
    ///
    /// - Throws: `PostgresServerFailure`
    @discardableResult
    package func run(_ program: String, _ arguments: [String]) throws -> String {
        let program = try RunningProgram(
            arguments, program: "\(programs)/\(program)",
            environment: ["PGHOST": socketFolder, "PGUSER": "tests", "PATH": "/usr/bin:/bin"],
            in: FileManager.default.temporaryDirectory)
        let outcome = try program.outcome()
        guard outcome.status == 0 else { throw PostgresServerFailure(words: outcome.errors) }
        return outcome.output
    }

    /// Runs SQL in one of its databases.
    @discardableResult
    package func sql(_ text: String, in database: String = "postgres") throws -> String {
        try run("psql", ["-Atqc", text, database])
    }
}

/// Why there is no server, or what one of its programs says.
package struct PostgresServerFailure: Error, CustomStringConvertible {
    let words: String
    package var description: String { words }
}
