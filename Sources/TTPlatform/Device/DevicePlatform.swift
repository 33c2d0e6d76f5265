// How kinds of devices announce themselves, and how one is chosen (contract §2.6: probe and open in one process only).

/// A kind of device: finds out what is there and opens it.
public protocol DevicePlatform: Sendable {
    /// The name that `device:` selects it by, for example `host`.
    var name: String { get }

    /// Looks for devices without opening any.
    func discover() -> PlatformDiscovery

    /// Opens the mesh that the configuration asks for.
    ///
    /// - Throws: `ConfigurationError` or the platform's own error, each with a message for a person.
    func openMeshDevice(shape: MeshShape, configuration: EngineConfiguration) throws -> any MeshDevice
}

/// What a platform found.
public enum PlatformDiscovery: Sendable, Equatable {
    /// Its devices, at least one.
    case found([DiscoveredDevice])
    /// None, and why.
    case absent(reason: String)

    /// The devices, none where the platform is absent.
    public var devices: [DiscoveredDevice] {
        switch self {
        case .found(let devices): devices
        case .absent: []
        }
    }
}

/// Facts of a device that was found and not opened; one chip of a mesh, or the host.
public struct DiscoveredDevice: Sendable, Equatable {
    /// The device's name among those of its platform, for example `0`.
    public var name: String
    /// A line for people: processor or board.
    public var summary: String
    /// Further lines for people, for example the topology.
    public var details: [String]

    /// Facts as given.
    public init(name: String, summary: String, details: [String] = []) {
        self.name = name
        self.summary = summary
        self.details = details
    }
}

/// The platforms that this program was built with, best first.
public struct PlatformCatalogue: Sendable {
    /// The platforms, in the order in which `auto` tries them.
    public let platforms: [any DevicePlatform]

    /// A catalogue of `platforms`, best first; names are unique and none is `auto`.
    public init(_ platforms: [any DevicePlatform]) {
        precondition(Set(platforms.map(\.name) + ["auto"]).count == platforms.count + 1, "platform names are unique")
        self.platforms = platforms
    }

    /// The platform called `device`, or for `auto` the first that has a device, with the devices it found.
    ///
    /// - Throws: `ConfigurationError.unknownDevice`, or `.noDevice` with each platform's reason.
    public func choose(
        device: String
    ) throws(ConfigurationError) -> (platform: any DevicePlatform, devices: [DiscoveredDevice]) {
        let candidates = platforms.filter { device == "auto" || $0.name == device }
        if candidates.isEmpty, device != "auto" {
            throw .unknownDevice(device, known: platforms.map(\.name) + ["auto"])
        }
        var reasons: [String] = []
        for platform in candidates {
            switch platform.discover() {
            case .found(let devices) where !devices.isEmpty: return (platform, devices)
            case .found: reasons.append("\(platform.name): no devices")
            case .absent(let reason): reasons.append("\(platform.name): \(reason)")
            }
        }
        throw .noDevice(reasons: reasons)
    }

    /// Chooses a platform, resolves the mesh that the configuration asks for, and opens it.
    public func open(_ configuration: EngineConfiguration) throws -> any MeshDevice {
        let (platform, devices) = try choose(device: configuration.device)
        let shape = try MeshSelection.resolve(configuration.meshDevice, availableDevices: devices.count)
        return try platform.openMeshDevice(shape: shape, configuration: configuration)
    }
}
