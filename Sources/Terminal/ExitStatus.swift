// The exit codes of all commands, for scripts and cron.

package import ArgumentParser

/// The result of a command, as the exit code of the process.
package enum ExitStatus: Int32 {
    case operationalError = 1
    case usage = 2
    case invalidInput = 3
    case batchHadFailures = 4
    case batchCancelledOrExpired = 5
    case notFound = 6
    /// Results were requested of a batch that has not ended.
    case batchNotDone = 7
    case conflict = 8
    /// Another run of a prompt gave another result.
    case different = 9
    /// Disk full or database busy: the same call may work later (EX_TEMPFAIL).
    case temporary = 75
    case interrupted = 130

    /// Thrown to end the program with this code, after all messages are printed.
    package var exit: ExitCode { ExitCode(rawValue) }
}

/// An error with a message and an exit code of its own.
package struct Failure: Error, CustomStringConvertible {
    package let status: ExitStatus
    package let description: String

    package init(_ status: ExitStatus, _ message: String) {
        self.status = status
        description = message
    }
}
