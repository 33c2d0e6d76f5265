// Why a model could not be loaded, and whose fault that is.

import ModelFiles
package import Platform
import Tokenizers

/// A model that cannot be had.
package struct ModelFailure: Error, CustomStringConvertible {
    /// Whose fault it is.
    package enum Cause: Sendable, Equatable {
        /// The name leads to no file.
        case name
        /// The model's: its file, or what memory it needs. `mayPass`: it may go well at another time without anybody mending
        /// anything.
        case model(mayPass: Bool)
        /// The settings do not fit the model.
        case settings(mayPass: Bool)
        /// The device failed, and may be opened again.
        case device(DeviceFault)
        /// Neither another try nor another model would help.
        case fatal
    }

    /// Whose fault it is.
    package let cause: Cause
    /// What was thrown.
    package let underlying: any Error

    /// What is wrong, for a person.
    package var description: String { "\(underlying)" }

    /// Whether the description names the model or its file.
    package var namesModel: Bool { !(underlying is any PlatformError) }

    /// A device that could not be opened: no fault of the model that it was to be opened for.
    init(opening error: any Error) {
        underlying = error
        cause = .fatal
    }

    /// What `error` says.
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
        // What memory is free changes.
        case .keyValueCacheTooSmall: self = .settings(mayPass: true)
        case .unsupported, .contradiction: self = .settings(mayPass: false)
        }
    }
}
