// Whose fault it is that a session could not begin or go on: the model's, or that of the device and the settings.

import HostDevice
import JobStore
import ModelFiles
import TTNNDevice
import TTPlatform
import Tokenizer

/// Why a batch's model cannot be used. It is the batch's trouble alone; others go on.
package struct ModelRefusal: Sendable, Equatable {
    /// What is wrong with it, for a person; it names the file or the model.
    package let reason: String
    /// It may go well at another time without anybody mending anything. What does not pass is not tried again.
    package let mayPass: Bool

    /// A refusal as given.
    package init(reason: String, mayPass: Bool) {
        self.reason = reason
        self.mayPass = mayPass
    }
}

/// What a batch asks for, beside what the daemon was configured for.
struct RequestedModel {
    /// Its name.
    let name: String
    /// It is the model that the settings are for: where they do not fit it, nothing runs before somebody has mended them.
    let isConfigured: Bool
    /// The batch names it. One that takes any model has no part in a configured name that leads nowhere.
    let isNamed: Bool

    init(_ batch: ClaimableBatch, _ configuration: Configuration) {
        let configured = configuration.model
        name = batch.model ?? configured
        isNamed = batch.model != nil
        isConfigured = batch.model.map { $0 == (try? configuration.catalogue.remembered(configured)) } ?? true
    }
}

/// A device that could not be opened: no fault of the model that it was to be opened for.
struct UnopenedDevice: Error {
    let cause: any Error
}

extension ModelRefusal {
    /// What `error` says of the model; nil where the fault is the device's or the settings'.
    ///
    /// Settings that do not fit a model which is not the configured one are no reason to keep the other batches waiting.
    init?(_ error: any Error, of model: RequestedModel) {
        switch error {
        case let error as ModelFileError: self.init(reason: error.description, mayPass: error.mayPass)
        case TokenizerError.file(let error): self.init(reason: error.description, mayPass: error.mayPass)
        case let error as TokenizerError: self.init(reason: error.description, mayPass: false)
        case let error as ModelLookupError:
            guard model.isNamed else { return nil }
            self.init(reason: error.description, mayPass: true)
        case HostDeviceError.outOfMemory: self.init(reason: "\(model.name): \(error)", mayPass: true)
        case let fault as DeviceFault:
            switch fault.cause {
            case .device: return nil
            case .model: self.init(reason: fault.description, mayPass: true)
            case .settings: self.init(settings: fault, of: model, mayPass: false)
            }
        case let error as ConfigurationError: self.init(error, of: model)
        case TTNNError.refused: self.init(settings: error, of: model, mayPass: false)
        default: return nil
        }
    }

    private init?(_ error: ConfigurationError, of model: RequestedModel) {
        switch error {
        case .noModel: self.init(reason: error.description, mayPass: false)
        case .noDevice, .unknownDevice, .unknownKey, .invalidValue: return nil
        // What memory is free changes.
        case .keyValueCacheTooSmall: self.init(settings: error, of: model, mayPass: true)
        case .unsupported, .contradiction: self.init(settings: error, of: model, mayPass: false)
        }
    }

    private init?(settings error: any Error, of model: RequestedModel, mayPass: Bool) {
        guard !model.isConfigured else { return nil }
        self.init(reason: "\(model.name): \(error)", mayPass: mayPass)
    }
}
