// The exit codes for errors of devices and measurements, and of the models' verbs.

import Benchmarks
import ModelCommands
import Platform
import Terminal

extension ExitStatus {
    /// The status for an error of a model's name, a device's configuration or a benchmark; nil for any other error.
    package init?(machineError error: any Error) {
        switch error {
        case BenchmarkError.unreadable: self = .notFound
        case BenchmarkError.tooShort: self = .invalidInput
        case is ConfigurationError, BenchmarkError.tooLong: self = .usage
        default: self.init(modelError: error)
        }
    }
}
