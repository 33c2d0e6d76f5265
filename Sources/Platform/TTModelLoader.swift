// Finds the model class for an architecture and creates a model on a device (TT contract §1.1).

public import ModelFiles

/// Loads models on devices.
public enum TTModelLoader {
    /// Creates the model on `device`, of the first of the configuration's architectures that the device has a class
    /// for.
    ///
    /// - Throws: `ConfigurationError.noModel` with the architectures tried and those known, or the factory's own error.
    public static func load<Device: MeshDevice>(
        _ model: ModelConfig, configuration: CheckedConfiguration, device: Device
    ) throws -> any TTModel {
        let factory = try factory(for: model, architectures: configuration.architectures, device: device)
        let initialization = ModelInitialization(
            config: model, maxBatchSize: configuration.maxNumSeqs, maxSequenceLength: configuration.maxModelLen,
            blockSize: configuration.blockSize, optimizations: configuration.tt.optimizations,
            traceMode: configuration.tt.traceMode,
            kvCacheDType: configuration.kvCacheDType)
        return try factory(initialization, device)
    }

    private static func factory<Device: MeshDevice>(
        for model: ModelConfig, architectures: [String], device: Device
    ) throws(ConfigurationError) -> ModelRegistry<Device>.Factory {
        for architecture in architectures {
            if let factory = device.models[architecture] { return factory }
        }
        throw .noModel(
            model: model.name, tried: architectures, known: device.models.architectures,
            platform: device.platform.name)
    }
}
