// The program as a child process, with its output in files so that no pipe can fill up.

import Foundation
import Testing

/// A started program.
final class RunningProgram: @unchecked Sendable {
    private let process = Process()
    private let output: URL
    private let errors: URL
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter outputPath: where standard output goes instead of a file that the test reads.
    init(
        _ arguments: [String], input: String?, environment: [String: String], in directory: URL,
        outputPath: String? = nil
    ) throws {
        let name = UUID().uuidString
        output = directory.appending(path: name + ".out")
        errors = directory.appending(path: name + ".err")
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file.path, contents: nil) }
        process.executableURL = Locations.program
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = directory
        process.standardOutput = try FileHandle(forWritingTo: outputPath.map { URL(filePath: $0) } ?? output)
        process.standardError = try FileHandle(forWritingTo: errors)
        if let input {
            let file = directory.appending(path: name + ".in")
            try Data(input.utf8).write(to: file)
            process.standardInput = try FileHandle(forReadingFrom: file)
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    var isRunning: Bool { process.isRunning }

    /// What it has printed so far.
    var outputSoFar: String { (try? String(contentsOf: output, encoding: .utf8)) ?? "" }

    /// What it has said so far.
    var errorsSoFar: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// Waits for the end, five minutes at most.
    func waitForEnd(_ location: SourceLocation = #_sourceLocation) throws -> Outcome {
        if ended.wait(timeout: .now() + 300) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            Issue.record("the program did not end within five minutes", sourceLocation: location)
        }
        ended.signal()
        // A signal's death is told as shells do.
        let status =
            process.terminationReason == .uncaughtSignal
            ? 128 + process.terminationStatus : process.terminationStatus
        return Outcome(
            status: status, output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// The most memory that it has had so far, bytes; nil once it has ended.
    var peakMemory: Int? {
        guard let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes * 1024
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
