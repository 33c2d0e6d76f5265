// Why a model could not be loaded, with the cause.

import ModelFiles
package import Platform
import Tokenizers

/// Why a model cannot be loaded.
package struct ModelFailure: Error, CustomStringConvertible {
    /// The cause of the failure.
    package enum Cause: Sendable, Equatable {
        /// No file has the model's name.
        case name
        /// The model: its file, or the memory that it needs. `mayPass`: a later attempt may succeed without a change by
        /// the operator.
        case model(mayPass: Bool)
        /// The settings do not fit the model.
        case settings(mayPass: Bool)
        /// The device failed; it may be opened again.
        case device(DeviceFault)
        /// Neither a retry nor another model would help.
        case fatal
    }

    /// The cause.
    package let cause: Cause
    /// The error that was thrown.
    package let underlying: any Error

    /// What is wrong, for the operator.
    package var description: String { "\(underlying)" }

    /// Whether the description names the model or its file.
    package var namesModel: Bool { !(underlying is any PlatformError) }

    /// The failure to open a device, which is not caused by the model that it was opened for.
    init(opening error: any Error) {
        underlying = error
        cause = .fatal
    }

    /// The failure that follows from `error`.
    package init(_ error: any Error) {
        switch error {
        case let failure as ModelFailure: self = failure
        case TokenizerError.file(let error): self.init(error, .model(mayPass: error.mayPass))
        case let error as ModelFileError: self.init(error, .model(mayPass: error.mayPass))
        case let error as TokenizerError: self.init(error, .model(mayPass: false))
        case let error as ModelLookupError: self.init(error, .name)
        case let fault as DeviceFault:
            self.init(fault, fault.cause == .device ? .device(fault) : Cause(fault.cause))
        case let error as ConfigurationError: self.init(error, Cause(error))
        case let error as any PlatformError: self.init(error, error.cause.map { Cause($0) } ?? .fatal)
        default: self.init(error, .fatal)
        }
    }

    private init(_ underlying: any Error, _ cause: Cause) {
        self.underlying = underlying
        self.cause = cause
    }
}

extension ModelFailure.Cause {
    fileprivate init(_ cause: DeviceFault.Cause) {
        switch cause {
        case .device: self = .fatal
        case .model: self = .model(mayPass: true)
        case .settings: self = .settings(mayPass: false)
        }
    }

    fileprivate init(_ error: ConfigurationError) {
        switch error {
        case .noModel: self = .model(mayPass: false)
        case .noDevice, .unknownDevice, .unknownKey, .invalidValue: self = .fatal
        // The free memory may change.
        case .keyValueCacheTooSmall: self = .settings(mayPass: true)
        case .unsupported, .contradiction: self = .settings(mayPass: false)
        }
    }
}
