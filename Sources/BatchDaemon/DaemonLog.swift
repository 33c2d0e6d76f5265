// The daemon's log: one line per event on stderr, where systemd and cron collect it.

package import Logging

/// Makes the daemon's log.
package enum DaemonLog {
    /// A log of lines from `level` on.
    package static func make(level: Logger.Level = .info) -> Logger {
        var log = Logger(label: "ttbatch") { StreamLogHandler.standardError(label: $0) }
        log.logLevel = level
        return log
    }
}
