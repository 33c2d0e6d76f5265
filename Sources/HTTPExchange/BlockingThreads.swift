// Threads for calls that block, of the store and of files: NIO's own threads must never wait.

import NIOPosix

/// Runs blocking calls beside NIO's threads.
package struct BlockingThreads: Sendable {
    private let pool: NIOThreadPool

    /// Starts `count` threads; they live as long as the process.
    package init(count: Int) {
        pool = NIOThreadPool(numberOfThreads: count)
        pool.start()
    }

    /// Runs `body` on one of the threads and waits for it without blocking.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await pool.runIfActive(body)
    }
}
