// What a model that cannot be loaded means for the batch that asked for it.

import Platform
import Serving
import Settings
import StoreContract

/// Why a batch's model cannot be used. It is the batch's trouble alone; others go on.
package struct ModelRefusal: Sendable, Equatable {
    /// What is wrong with it, for a person; it names the file or the model.
    package let reason: String
    /// It may go well at another time without anybody mending anything. What does not pass is not tried again.
    package let mayPass: Bool

    /// A refusal for `reason`.
    package init(reason: String, mayPass: Bool) {
        self.reason = reason
        self.mayPass = mayPass
    }

    /// What `failure` says of the model; nil where the fault is the device's or the settings'.
    ///
    /// Settings that do not fit a model which is not the configured one are no reason to keep the other batches waiting.
    init?(_ failure: ModelFailure, of model: RequestedModel) {
        switch failure.cause {
        case .name where model.isNamed: self.init(reason: failure.description, mayPass: true)
        case .model(let mayPass): self.init(reason: failure.reason(model), mayPass: mayPass)
        case .settings(let mayPass) where !model.isConfigured:
            self.init(reason: "\(model.name): \(failure)", mayPass: mayPass)
        case .name, .settings, .device, .fatal: return nil
        }
    }
}

/// What a batch asks for, beside what the daemon was configured for.
struct RequestedModel {
    /// Its name.
    let name: String
    /// It is the model that the settings are for: where they do not fit it, nothing runs before the cause is mended.
    let isConfigured: Bool
    /// The batch names it. One that takes any model has no part in a configured name that leads nowhere.
    let isNamed: Bool

    init(_ batch: ClaimableBatch, _ configuration: Configuration) {
        name = batch.model ?? configuration.model
        isNamed = batch.model != nil
        isConfigured = batch.model.map { $0 == configuration.rememberedModel } ?? true
    }
}

extension ModelFailure {
    /// What is wrong, with the model's name where the error does not tell it.
    fileprivate func reason(_ model: RequestedModel) -> String {
        namesModel ? description : "\(model.name): \(self)"
    }
}
