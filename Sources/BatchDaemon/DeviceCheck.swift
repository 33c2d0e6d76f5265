// Checks a device and a model before jobs are stored for them.

public import Platform
import Serving
public import Settings

/// The device that a daemon on this machine would use.
public struct DeviceCheck {
    private let engine: EngineConfiguration
    private let platform: any DevicePlatform

    /// Chooses the device.
    ///
    /// - Throws: `ConfigurationError.noDevice`.
    public init(_ engine: EngineConfiguration, _ platforms: PlatformCatalogue) throws(ConfigurationError) {
        self.engine = engine
        platform = try platforms.choose(engine)
    }

    /// Throws if a model cannot be run with the configuration.
    public var check: ModelCheck { { [engine, platform] in try platform.check(engine, for: $0) } }

    /// Throws if the model that is called so in the configuration cannot be opened or run.
    public func check(named name: String, _ configuration: Configuration) throws {
        try check(OpenedModel(name, in: configuration.catalogue).config)
    }
}
