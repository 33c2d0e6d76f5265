// What the host device would say of a model, found without loading it.

public import ModelFiles
public import Platform

/// The check of a model's configuration and tensors, all that loading refuses and not only the first.
public struct HostModelCheck: Sendable {
    /// What the model computes; `nil` if its configuration is refused.
    public let description: ModelDescription?
    /// Why the host device cannot run it; none if it can.
    public let faults: [ModelFileError]
    private let model: ModelBundle
    private let tensors: DecoderTensors?

    /// Checks a model by the headers of its files.
    public init(_ model: ModelBundle) {
        self.model = model
        var faults = model.weights.unreadable
        do throws(ModelFileError) {
            let description = try model.description()
            self.description = description
            tensors = try? DecoderTensors(model.weights, description)
            faults += tensors == nil ? DecoderTensors.faults(model.weights, description) : []
        } catch {
            (description, tensors) = (nil, nil)
            if !faults.contains(error) { faults.insert(error, at: 0) }
        }
        self.faults = faults
    }

    /// Reads all weights, and finds those that loading would refuse; none if the tensors are refused anyway.
    ///
    /// - Throws: `HostDeviceError.outOfMemory`; `ModelFileError.changed`.
    public func valueFaults(on device: HostMeshDevice) throws -> [ModelFileError] {
        guard let tensors, let description else { return [] }
        return try tensors.valueFaults(model.weights, description, pool: device.pool)
    }

    /// What the model would need and do; `nil` if its tensors are refused.
    public func estimate(_ optimizations: Optimizations) -> ModelEstimate? {
        guard let tensors, let description else { return nil }
        return ModelEstimate(model.config, description, tensors, optimizations)
    }
}
