// The built program, enqueuing some lines into a database that this process has open.

import Foundation
import TestSupport

/// `ttbatch enqueue` of a file with 500 lines, started.
struct EnqueuingProcess {
    private let program: RunningProgram

    init(into database: String, in folder: TemporaryFolder) throws {
        let lines = (1...500).map { #"{"prompt": "The number \#($0) is", "max_tokens": 4}"# + "\n" }
        let file = try folder.write("prompts.jsonl", lines.joined())
        program = try RunningProgram(
            ["enqueue", file, "--db", database, "--model", Locations.tinyModel],
            environment: ProcessInfo.processInfo.environment, in: folder.url)
    }

    /// Waits until it has ended, or for `seconds`.
    func wait(seconds: Double) { _ = program.ends(within: .seconds(seconds)) }

    /// Waits for its end; whether its lines were stored then.
    func succeeds() throws -> Bool { try program.ends(within: .seconds(60)) && program.outcome().status == 0 }
}
