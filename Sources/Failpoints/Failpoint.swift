// Named places in the program at which a test makes it die, wait or write a trace.
//
// They are in every build. Unless TTBATCH_TEST_FAILPOINTS is set, each costs only a test of one variable for nil.

import Glibc
import Synchronization

/// A place at which a test can make the process die. `name` is evaluated only if failpoints are on.
///
/// `TTBATCH_TEST_FAILPOINTS` is a comma-separated list of
/// - `NAME@N=kill`: the process kills itself (SIGKILL) when it reaches NAME for the N-th time;
/// - `NAME=pause:MS`: it waits there for MS milliseconds, every time;
/// - `trace=FILE`: the name of every failpoint that the process reaches is appended to FILE.
@inline(__always)
public func failpoint(_ name: @autoclosure () -> String) {
    if let armed { armed.reach(name()) }
}

private let armed: ArmedFailpoints? = getenv("TTBATCH_TEST_FAILPOINTS").map { ArmedFailpoints(String(cString: $0)) }

/// The parsed value of `TTBATCH_TEST_FAILPOINTS`.
private final class ArmedFailpoints: Sendable {
    private let kills: [String: Int]
    private let pauses: [String: UInt32]
    private let trace: Int32?
    private let hits = Mutex<[String: Int]>([:])

    init(_ text: String) {
        var kills: [String: Int] = [:]
        var pauses: [String: UInt32] = [:]
        var trace: Int32?
        for entry in text.split(separator: ",") {
            let sides = entry.split(separator: "=", maxSplits: 1)
            guard sides.count == 2 else { Self.refuse(entry) }
            let place = sides[0].split(separator: "@", maxSplits: 1)
            if sides[0] == "trace" {
                trace = open(String(sides[1]), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            } else if sides[1] == "kill", place.count == 2, let hit = Int(place[1]) {
                kills[String(place[0])] = hit
            } else if sides[1].hasPrefix("pause:"), let milliseconds = UInt32(sides[1].dropFirst("pause:".count)) {
                pauses[String(sides[0])] = milliseconds
            } else {
                Self.refuse(entry)
            }
        }
        self.kills = kills
        self.pauses = pauses
        self.trace = trace
    }

    /// A test with a misspelt failpoint would pass without testing anything.
    private static func refuse(_ entry: Substring) -> Never {
        let message = "TTBATCH_TEST_FAILPOINTS: \(entry): expected NAME@N=kill, NAME=pause:MS or trace=FILE\n"
        _ = message.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
        exit(2)
    }

    func reach(_ name: String) {
        if let trace {
            let line = name + "\n"
            _ = line.withCString { Glibc.write(trace, $0, strlen($0)) }
        }
        if let milliseconds = pauses[name] { usleep(milliseconds * 1000) }
        guard let fatal = kills[name] else { return }
        let hit = hits.withLock { hits in
            hits[name, default: 0] += 1
            return hits[name]
        }
        if hit == fatal { kill(getpid(), SIGKILL) }
    }
}
