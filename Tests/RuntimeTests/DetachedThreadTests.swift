// Threads that nobody joins.

import Foundation
import Glibc
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite struct DetachedThreadTests {
    /// Tells when it is released.
    private final class Captured: Sendable {
        let released: @Sendable () -> Void
        init(released: @escaping @Sendable () -> Void) { self.released = released }
        deinit { released() }
    }

    /// In what order things of a thread end.
    private final class Ends: Sendable {
        let order = Mutex<[String]>([])
        let event = Event()

        func note(_ end: String) {
            order.withLock { $0.append(end) }
            event.signal()
        }
    }

    /// What a thread captured may use what libraries keep for each thread (libdispatch does, where a database is closed), so
    /// it must be gone before that storage is.
    @Test func releaseWhatTheyCapturedBeforeTheirStorage() {
        let ends = Ends()
        var captured: Captured? = Captured { ends.note("captured") }
        let isTheThreads = Event()
        DetachedThread.start("test") { [captured] in
            // Here it is held, too, until the thread has been started.
            isTheThreads.wait()
            withExtendedLifetime(captured) { atThreadExit(ends) { ends.note("storage") } }
            ends.note("body")
        }
        captured = nil
        isTheThreads.signal()
        ends.event.wait(times: 3)
        #expect(ends.order.withLock { $0 } == ["body", "captured", "storage"])
    }

    @Test func haveNames() {
        let found = Mutex("")
        let ended = Event()
        DetachedThread.start("fifteen letters", stackSize: 3 << 20) {
            let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
            found.withLock { $0 = name ?? "" }
            ended.signal()
        }
        ended.wait()
        #expect(found.withLock { $0 } == "fifteen letters\n")
    }

    /// Calls `body` where C++'s objects of this thread end, which is before any library takes back what it keeps for it.
    private func atThreadExit(_ ends: Ends, _ body: @escaping @Sendable () -> Void) {
        typealias Register =
            @convention(c) (
                @convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
            ) -> Int32
        let register = unsafeBitCast(dlsym(nil, "__cxa_thread_atexit_impl"), to: Register.self)
        let object = Unmanaged.passRetained(Captured(released: body)).toOpaque()
        let dso = UnsafeMutableRawPointer(mutating: #dsohandle)
        _ = register({ Unmanaged<Captured>.fromOpaque($0!).release() }, object, dso)
    }
}
