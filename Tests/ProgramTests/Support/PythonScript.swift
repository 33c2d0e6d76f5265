// Scripts under Tests/ that the tests run, and the model that one of them writes.

import Foundation
import TestSupport
import Testing

enum PythonScript {
    /// Runs a script to its end: its status, and all that it said.
    static func run(
        _ script: String, _ arguments: [String] = [], python: String, environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let folder = try TemporaryFolder()
        let outcome = try RunningProgram(
            [Locations.repository.appending(path: "Tests/\(script)").path] + arguments, program: python,
            environment: ProcessInfo.processInfo.environment.merging(["PYTHONDONTWRITEBYTECODE": "1"]) { $1 }
                .merging(environment) { $1 }, in: folder.url
        ).outcome()
        return (outcome.status, outcome.output + outcome.errors)
    }

    /// Writes a random llama of sizes that ttnn's operations take, with a context of 2048 tokens.
    static func makeSmallModel(_ path: String, python: String) throws {
        let (status, output) = try run("RealOperations/make_model.py", [path], python: python)
        try #require(status == 0, "\(output)")
    }
}
