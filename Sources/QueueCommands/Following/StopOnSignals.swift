// SIGTERM, SIGINT and SIGHUP ask the daemon to stop instead of ending the process.

import Dispatch
import Glibc
package import Runtime
import Terminal

/// While it lives, the first signal asks for a graceful stop, the second for an immediate one, and a further one ends the
/// process there and then, for a device that does not come back from a step. That is safe: the next daemon puts the jobs back.
package final class StopOnSignals {
    private let numbers: [Int32]
    private let sources: [any DispatchSourceSignal]

    /// - Parameter announce: says what a signal leads to; called on another thread.
    package init(_ stop: StopSignal, announce: @escaping @Sendable (StopSignal.Level) -> Void = { _ in }) {
        // Who was started with nohup goes on when the terminal is closed.
        let ignoresHangUp = unsafeBitCast(signal(SIGHUP, SIG_IGN), to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        numbers = ignoresHangUp ? [SIGTERM, SIGINT] : [SIGTERM, SIGINT, SIGHUP]
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

    /// Signals end the process again.
    package func restore() {
        for source in sources { source.cancel() }
        for number in numbers { signal(number, SIG_DFL) }
    }
}
