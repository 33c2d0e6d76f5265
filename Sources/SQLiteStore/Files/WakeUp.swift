// How a command-line process wakes the daemon: it touches the daemon's lock file, which the daemon watches with
// inotify.
//
// The wake-up is sent after the commit, so the daemon then sees what was written. The daemon polls the database as
// well, so a lost wake-up does no harm. SQLite's own files are never opened for this, since closing them would release
// SQLite's locks. See docs/store.md.

import Foundation
import Glibc
import Runtime
import StoreContract

// UTIME_NOW and UTIME_OMIT, macros that Swift does not import.
private let utimeNow = (1 << 30) - 1
private let utimeOmit = (1 << 30) - 2

/// Wakes a database's daemon.
enum WakeUp {
    /// Sends the wake-up, if there is a daemon to receive it.
    static func send(database: String) {
        // Without a daemon the file may be missing. Without permission to touch it, the daemon still notices by
        // polling. Only the access time is set, which inotify reports as an access; the modification time shows when
        // the daemon started.
        let times = [timespec(tv_sec: 0, tv_nsec: utimeNow), timespec(tv_sec: 0, tv_nsec: utimeOmit)]
        utimensat(AT_FDCWD, FileDaemonLease.path(database: database), times, 0)
    }
}

/// Waits for wake-ups on a thread of its own, until `end` or the end of the object.
final class WakeUpListener: StoreWatch, @unchecked Sendable {
    private let notifications: Int32
    /// A pipe: writing to its second descriptor stops the thread.
    private let stop: [Int32]
    private let ended = DispatchSemaphore(value: 0)
    private var isOver = false

    /// Waits for wake-ups of a database whose daemon is this process; nil if the system does not support it.
    init?(database: String, _ handler: @escaping @Sendable () -> Void) {
        let notifications = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard notifications >= 0 else { return nil }
        var ends: [Int32] = [-1, -1]
        guard inotify_add_watch(notifications, FileDaemonLease.path(database: database), UInt32(IN_ACCESS)) >= 0,
            pipe(&ends) == 0
        else {
            close(notifications)
            return nil
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.notifications = notifications
        stop = ends
        DetachedThread.start("wake-up") { [notifications, stop, ended] in
            Self.listen(notifications, stop[0], handler)
            ended.signal()
        }
    }

    deinit { end() }

    func end() {
        guard !isOver else { return }
        isOver = true
        write(stop[1], "x", 1)
        ended.wait()
        for descriptor in [notifications] + stop { close(descriptor) }
    }

    private static func listen(_ notifications: Int32, _ stop: Int32, _ handler: () -> Void) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var waited = [
                pollfd(fd: notifications, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waited, 2, -1) >= 0 || errno == EINTR else { return }
            if waited[1].revents != 0 { return }
            var isWoken = false
            while read(notifications, &buffer, buffer.count) > 0 { isWoken = true }
            if isWoken { handler() }
        }
    }
}
