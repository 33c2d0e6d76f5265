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
}
