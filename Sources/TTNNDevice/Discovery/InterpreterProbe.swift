// Asks the configured interpreter, in a process of its own, what it has: ttnn, and which model classes.

import Foundation
import TTPlatform

/// What an interpreter has.
struct InterpreterProbe: Decodable, Equatable {
    let python: String
    let ttnn: String?
    /// Architectures with a model class.
    let architectures: [String]
    /// Why it cannot be used, with the remedy.
    let problem: String?

    /// Runs the probe; no device is touched by it.
    ///
    /// - Throws: `TTNNError.cannotStart`.
    static func run(_ configuration: BridgeConfiguration, environment: [String: String]) throws -> InterpreterProbe {
        do throws(BridgeError) {
            let task = BridgeProgram.Task.probe(extraModelsDir: configuration.extraModelsDir)
            let (process, socket) = try ChildProcess.start(
                configuration.python, BridgeProgram.arguments(task, socket: ChildProcess.childSocket),
                environment: environment, log: { _, _ in })
            let connection = BridgeConnection(socket: socket)
            let deadline = Deadline(seconds: 120)
            defer {
                process.send(SIGKILL)
                process.wait(until: Deadline(seconds: 5))
            }
            try connection.send(BridgeProgram.sources(), until: deadline)
            let answer = try connection.receiveAll(atMost: 1 << 20, until: deadline)
            guard let probe = try? BridgeCoding.decoder.decode(InterpreterProbe.self, from: Data(answer)) else {
                process.wait(until: Deadline(seconds: 5))
                throw .malformed(process.end.map { "no answer; \($0)" } ?? "no answer")
            }
            return probe
        } catch {
            throw TTNNError.cannotStart(python: configuration.python, reason: error.description)
        }
    }
}
