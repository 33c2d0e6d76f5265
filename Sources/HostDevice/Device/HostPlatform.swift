// The platform that is always there.

public import TTPlatform

/// The CPU as a platform.
public struct HostPlatform: DevicePlatform {
    /// The platform.
    public init() {}

    /// `host`.
    public var name: String { "host" }

    /// One device, described from hwloc's view of the machine.
    public func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery {
        do {
            let topology = try HostTopology()
            return .found([DiscoveredDevice(name: "0", summary: topology.summary, details: topology.details)])
        } catch {
            return .absent(reason: error.description)
        }
    }

    /// Opens the host with the configuration's threads.
    ///
    /// - Throws: `ConfigurationError.contradiction` for any other mesh than (1, 1).
    public func openMeshDevice(
        _ configuration: EngineConfiguration, for user: DeviceUser
    ) throws -> any MeshDevice {
        _ = try MeshSelection.resolve(configuration.meshDevice, availableDevices: 1)
        return try HostMeshDevice(threads: configuration.threads, bindThreads: configuration.bindThreads)
    }
}
