// The exit codes for errors of models, devices and measurements.

import Benchmarks
import ModelFiles
import Platform
import Terminal

extension ExitStatus {
    /// The status for an error of a model's name, a device's configuration or a benchmark; nil for any other error.
    package init?(machineError error: any Error) {
        switch error {
        case is ModelLookupError, BenchmarkError.unreadable: self = .notFound
        case BenchmarkError.tooShort: self = .invalidInput
        case is ConfigurationError, BenchmarkError.tooLong: self = .usage
        default: return nil
        }
    }
}
