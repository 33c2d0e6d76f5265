// How a model that cannot be loaded affects the batch that requested it.

import Platform
import Serving
import Settings
import StoreContract

/// Why a batch's model cannot be used. It affects this batch alone; others continue.
package struct ModelRefusal: Sendable, Equatable {
    /// What is wrong, for the operator; names the file or the model.
    package let reason: String
    /// Whether a later attempt may succeed without a change by the operator. Other refusals are not retried.
    package let mayPass: Bool
    /// Whether this host does not have the model; others may.
    package let isMissing: Bool

    /// A refusal for `reason`.
    package init(reason: String, mayPass: Bool, isMissing: Bool = false) {
        self.reason = reason
        self.mayPass = mayPass
        self.isMissing = isMissing
    }

    /// The refusal that follows from `failure`; nil if the cause is the device or the settings.
    ///
    /// Settings that do not fit a model other than the configured one affect the batch alone; other batches need not
    /// wait.
    init?(_ failure: ModelFailure, of model: RequestedModel) {
        switch failure.cause {
        case .name where model.isNamed: self.init(reason: failure.description, mayPass: true, isMissing: true)
        case .model(let mayPass): self.init(reason: failure.reason(model), mayPass: mayPass)
        case .settings(let mayPass) where !model.isConfigured:
            self.init(reason: "\(model.name): \(failure)", mayPass: mayPass)
        case .name, .settings, .device, .fatal: return nil
        }
    }
}

/// The model that a batch requests.
struct RequestedModel {
    /// Its name.
    let name: String
    /// Whether it is the configured model, which the settings are for. If they do not fit it, no batch can run until
    /// the operator corrects them.
    let isConfigured: Bool
    /// Whether the batch names it. A batch that takes any model is not refused because a configured name has no file.
    let isNamed: Bool

    init(_ batch: ClaimableBatch, _ configuration: Configuration) {
        name = batch.model ?? configuration.model
        isNamed = batch.model != nil
        isConfigured = batch.model.map { $0 == configuration.rememberedModel } ?? true
    }
}

extension ModelFailure {
    /// What is wrong, with the model's name if the error does not contain it.
    fileprivate func reason(_ model: RequestedModel) -> String {
        namesModel ? description : "\(model.name): \(self)"
    }
}
