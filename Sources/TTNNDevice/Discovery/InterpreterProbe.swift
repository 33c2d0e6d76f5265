// Runs the configured interpreter to find its package versions and the model classes that it can import.

import Foundation
import Platform
import TTNNSettings

/// The packages and model classes of an interpreter.
struct InterpreterProbe: Decodable, Equatable {
    /// The request to the probe.
    struct Request: Encodable {
        /// Folder of model bundles.
        let extraModelsDir: String?
        /// `module:Class` of the only class to import; by default all known classes.
        let modelClass: String?
    }

    /// Version of Python.
    let python: String
    /// Versions of the relevant packages; `nil` for a package that is not installed.
    let versions: [String: String?]
    /// `module:Class` of the imported classes, by architecture.
    let classes: [String: String]
    /// Notes on each of these classes, by architecture: its age and its workarounds.
    let rules: [String: String]
    /// Why other classes cannot be imported, by architecture.
    let unusable: [String: String]
    /// Why the interpreter cannot be used, with the remedy.
    let problem: String?

    /// Runs the probe, which uses no device.
    ///
    /// - Throws: `TTNNError.cannotStart`.
    static func run(_ configuration: BridgeConfiguration, environment: [String: String]) throws -> InterpreterProbe {
        do throws(BridgeError) {
            let task = BridgeProgram.Task.probe(
                Request(extraModelsDir: configuration.extraModelsDir, modelClass: configuration.modelClass))
            let (process, socket) = try ChildProcess.start(
                configuration.python, BridgeProgram.arguments(task, socket: ChildProcess.childSocket),
                environment: environment, log: { _, _ in })
            let connection = BridgeConnection(socket: socket)
            let deadline = TimeLimit(seconds: 300)
            defer {
                process.send(SIGKILL)
                process.wait(until: TimeLimit(seconds: 5))
            }
            try connection.send(BridgeProgram.sources(), until: deadline)
            let answer = try connection.receiveAll(atMost: 1 << 20, until: deadline)
            guard let probe = try? BridgeCoding.decoder.decode(InterpreterProbe.self, from: Data(answer)) else {
                process.wait(until: TimeLimit(seconds: 5))
                throw .malformed(process.end.map { "no answer; \($0)" } ?? "no answer")
            }
            return probe
        } catch {
            throw TTNNError.cannotStart(python: configuration.python, reason: error.description)
        }
    }

    /// Why no model can run; `nil` if one can.
    func noClass(_ bridge: BridgeConfiguration) -> String? {
        guard classes.isEmpty else { return nil }
        guard let (architecture, reason) = unusable.min(by: { $0.key < $1.key }) else {
            return "\(bridge.python) finds no TT model class: put tt-metal's folder on PYTHONPATH or install "
                + "tt-transformers, or set bridge.model_class or bridge.extra_models_dir"
        }
        return unusable.count == 1
            ? reason : "none of the \(unusable.count) TT model classes can be imported; \(architecture): \(reason)"
    }

    /// Lines for the operator: versions, the classes that can run, and those that cannot.
    var lines: [String] {
        let known = versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value ?? "not installed")" }
        var lines = ["Python \(python), " + known.joined(separator: ", ")]
        if versions["vllm"] == .some(nil) {
            lines.append("vllm is not needed: model classes get stand-ins for what they import from it")
        }
        let kinds = Dictionary(grouping: classes.keys.sorted()) { rules[$0] ?? "" }
        for (rules, names) in kinds.sorted(by: { $0.key < $1.key }) {
            lines += ["models: " + names.joined(separator: ", "), "  " + rules]
        }
        for (architecture, reason) in unusable.sorted(by: { $0.key < $1.key }) {
            lines.append("\(architecture) cannot be used: \(reason)")
        }
        return lines
    }
}
