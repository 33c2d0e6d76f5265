// SIGTERM, SIGINT and SIGHUP ask the daemon to stop instead of ending the process.

import Dispatch
import Glibc
package import Runtime
import Terminal

/// While the object exists, the first signal requests a graceful stop, and the second an immediate one. A third ends
/// the process at once, in case the device does not return from a step. That is safe: the next daemon releases the
/// jobs.
package final class StopOnSignals {
    private let numbers: [Int32]
    private let sources: [any DispatchSourceSignal]

    /// - Parameters:
    ///   - others: further signals with the same effect.
    ///   - announce: prints what a signal does; called on another thread.
    package init(
        _ stop: StopSignal, and others: [Int32] = [],
        announce: @escaping @Sendable (StopSignal.Level) -> Void = { _ in }
    ) {
        // A process that was started with nohup continues when the terminal is closed.
        let ignoresHangUp = unsafeBitCast(signal(SIGHUP, SIG_IGN), to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        numbers = (ignoresHangUp ? [SIGTERM, SIGINT] : [SIGTERM, SIGINT, SIGHUP]) + others
        sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if stop.level == .immediate {
                    StandardError.print("ttbatch: ended at once; what was running is put back by the next daemon")
                    _exit(128 + number)
                }
                let level = stop.level == .none ? StopSignal.Level.graceful : .immediate
                stop.request(level)
                announce(level)
            }
            source.resume()
            return source
        }
    }

    /// Restores the default action of the signals.
    package func restore() {
        for source in sources { source.cancel() }
        for number in numbers { signal(number, SIG_DFL) }
    }
}
