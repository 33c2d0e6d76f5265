// What can be known of a device and a model before anything is stored for them.

public import Platform

/// The device that a daemon here would use.
public struct DeviceCheck {
    private let engine: EngineConfiguration
    private let platform: any DevicePlatform

    /// Looks for the device.
    ///
    /// - Throws: `ConfigurationError.noDevice`.
    public init(_ engine: EngineConfiguration, _ platforms: PlatformCatalogue) throws(ConfigurationError) {
        self.engine = engine
        platform = try platforms.choose(engine)
    }

    /// Throws if a model could not be run as it is configured.
    public var check: ModelCheck { { [engine, platform] in try platform.check(engine, for: $0) } }
}
