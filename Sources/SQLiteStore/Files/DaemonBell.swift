// How a command-line process wakes the daemon: it touches the daemon's lock file, and the daemon watches that with inotify.
//
// The bell is rung after the commit, so whoever hears it sees what was written. It is only a bell: the daemon looks at the
// database by itself as well, now and then, so a bell that nobody rings or hears loses nothing. SQLite's own files are never
// opened for this, since closing them would drop SQLite's locks.

import Foundation
import Glibc
import StoreContract

// UTIME_NOW and UTIME_OMIT, macros that Swift does not import.
private let utimeNow = (1 << 30) - 1
private let utimeOmit = (1 << 30) - 2

/// The bell of a database's daemon.
enum DaemonBell {
    /// Wakes the daemon, if there is one that listens.
    static func ring(database: String) {
        // Without a daemon there may be no file, and without the right to touch it the daemon still looks by itself.
        // The time of the last access alone, which inotify tells as an access: the time of the last change tells since when the
        // daemon is there.
        let times = [timespec(tv_sec: 0, tv_nsec: utimeNow), timespec(tv_sec: 0, tv_nsec: utimeOmit)]
        utimensat(AT_FDCWD, FileDaemonLease.path(database: database), times, 0)
    }
}

/// Listens to the bell on a thread of its own, until `end` or the object's end.
final class BellListener: StoreWatch, @unchecked Sendable {
    private let bell: Int32
    /// A pipe: what is written into its second end stops the thread.
    private let stop: [Int32]
    private let ended = DispatchSemaphore(value: 0)
    private var isOver = false

    /// Listens to the bell of a database whose daemon this process is; nil where the system does not let it.
    init?(database: String, _ handler: @escaping @Sendable () -> Void) {
        let bell = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard bell >= 0 else { return nil }
        var ends: [Int32] = [-1, -1]
        guard inotify_add_watch(bell, FileDaemonLease.path(database: database), UInt32(IN_ACCESS)) >= 0,
            pipe(&ends) == 0
        else {
            close(bell)
            return nil
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        self.bell = bell
        stop = ends
        let thread = Thread { [bell, stop, ended] in
            Self.listen(bell, stop[0], handler)
            ended.signal()
        }
        thread.name = "bell"
        thread.start()
    }

    deinit { end() }

    func end() {
        guard !isOver else { return }
        isOver = true
        write(stop[1], "x", 1)
        ended.wait()
        for descriptor in [bell] + stop { close(descriptor) }
    }

    private static func listen(_ bell: Int32, _ stop: Int32, _ handler: () -> Void) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var waited = [
                pollfd(fd: bell, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waited, 2, -1) >= 0 || errno == EINTR else { return }
            if waited[1].revents != 0 { return }
            var hasRung = false
            while read(bell, &buffer, buffer.count) > 0 { hasRung = true }
            if hasRung { handler() }
        }
    }
}
