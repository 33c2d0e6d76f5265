// Scripts under Tests/ that the tests run, and the model that one of them writes.

import Foundation
import Testing

enum PythonScript {
    /// Runs a script to its end: its status, and all that it said.
    static func run(
        _ script: String, _ arguments: [String] = [], python: String, environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String) {
        let log = FileManager.default.temporaryDirectory.appending(path: "script-\(UUID().uuidString).log")
        defer { try? FileManager.default.removeItem(at: log) }
        try Data().write(to: log)
        let output = try FileHandle(forWritingTo: log)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [python, Locations.repository.appending(path: "Tests/\(script)").path] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONDONTWRITEBYTECODE": "1"]) { $1 }
            .merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOf: log, encoding: .utf8))
    }

    /// Writes a random llama of sizes that ttnn's operations take, with a context of 2048 tokens.
    static func makeSmallModel(_ path: String, python: String) throws {
        let (status, output) = try run("RealOperations/make_model.py", [path], python: python)
        try #require(status == 0, "\(output)")
    }
}
