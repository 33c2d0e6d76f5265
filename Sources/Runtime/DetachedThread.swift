// Threads for what blocks or computes for long.

import Glibc

/// A thread of its own, which nobody joins: whoever waits for its end is told by its body.
package enum DetachedThread {
    /// Starts a thread that runs `body`.
    ///
    /// What only `body` holds is released on the thread before it ends. Foundation's `Thread` releases it while the thread's
    /// own storage is taken apart; libdispatch's is gone by then, and a database that is closed there writes to freed memory.
    ///
    /// - Parameters:
    ///   - name: at most 15 bytes, for debuggers and lists of threads.
    ///   - stackSize: in bytes; nil: the system's default.
    package static func start(_ name: String, stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) {
        precondition(name.utf8.count < 16)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        var thread = pthread_t()
        let start = Unmanaged.passRetained(ThreadStart(name: name, body: body)).toOpaque()
        let status = pthread_create(
            &thread, &attributes,
            { start in
                Unmanaged<ThreadStart>.fromOpaque(start!).takeRetainedValue().run()
                return nil
            }, start)
        precondition(status == 0, "no thread could be started: \(String(cString: strerror(status)))")
    }
}

/// The argument of a new thread.
private final class ThreadStart {
    private let name: String
    private let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    func run() {
        setName()
        body()
    }

    /// Swift does not see pthread_setname_np.
    private func setName() {
        let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = name.withCString { write(file, $0, strlen($0)) }
        close(file)
    }
}
