// Waiting for a program, and for what it does.

import Foundation
import TestSupport
import Testing

extension RunningProgram {
    /// Waits for the end.
    func waitForEnd(
        atMost limit: Duration = .seconds(300), _ location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        if !ends(within: limit) {
            send(SIGKILL)
            Issue.record("the program did not end within \(limit)", sourceLocation: location)
        }
        return try outcome()
    }
}

/// Asks again and again until `condition` holds; the test fails after two minutes, naming what was waited for.
func eventually(
    _ what: String, _ location: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) throws {
    let deadline = Date(timeIntervalSinceNow: 120)
    while try !condition() {
        guard Date() < deadline else {
            Issue.record("waited in vain for \(what)", sourceLocation: location)
            throw WaitedInVain()
        }
        usleep(20_000)
    }
}

struct WaitedInVain: Error {}
