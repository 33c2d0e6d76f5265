// How platforms describe themselves, and how one is chosen (TT contract §2.6: one process probes and opens).

public import ModelFiles

/// A kind of device: discovers the machine's devices of that kind and opens them.
public protocol DevicePlatform: Sendable {
    /// The platform's name, and which settings apply to it.
    var traits: PlatformTraits { get }

    /// Discovers devices without opening any.
    func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery

    /// Checks a configuration and a model as far as that is possible without opening a device.
    ///
    /// - Throws: `ConfigurationError`, `ModelFileError` or the platform's own error, each with a message for the
    ///   operator.
    func check(_ configuration: EngineConfiguration, for model: ModelConfig) throws

    /// Opens the mesh that the configuration selects, for one of its replicas, as `model` needs it.
    ///
    /// Replicas are opened one after another, and each gets its own part of the machine's devices. The method is called
    /// on the thread that will use the device.
    ///
    /// - Throws: `ConfigurationError` or the platform's own error, each with a message for the operator. `DeviceFault`
    ///   if another attempt may succeed.
    func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice
}

extension DevicePlatform {
    /// The name that `device:` selects it by, for example `host`.
    public var name: String { traits.name }

    /// Checks the rules that need no hardware.
    public func check(_ configuration: EngineConfiguration, for model: ModelConfig) throws {
        _ = try TTPlatform.checkAndUpdateConfig(configuration, model: model, platform: traits)
    }
}

/// Throws if a model cannot be run.
public typealias ModelCheck = (ModelConfig) throws -> Void

/// What a device needs from the program that uses it.
public struct DeviceUser: Sendable {
    /// Receives the device's messages while it is open.
    public var log: DeviceLog
    /// Whether the program is stopping. Opening a mesh and loading a model can take an hour; they are abandoned then.
    public var isStopping: @Sendable () -> Bool

    /// A user with `log` and `isStopping`; by default messages are dropped and the program never stops.
    public init(log: @escaping DeviceLog = { _, _ in }, isStopping: @escaping @Sendable () -> Bool = { false }) {
        self.log = log
        self.isStopping = isStopping
    }
}

/// Receives a line that a device or its driver logs.
public typealias DeviceLog = @Sendable (_ level: DeviceLogLevel, _ line: String) -> Void

/// The severity of a device's message.
public enum DeviceLogLevel: Sendable, Equatable {
    /// Needed only to search for an error.
    case debug
    /// Normal operation.
    case info
    /// The operator should look at it.
    case warning
    /// Something failed.
    case error
}

/// What a platform found.
public enum PlatformDiscovery: Sendable, Equatable {
    /// Its devices, at least one.
    case found([DiscoveredDevice])
    /// None, and why.
    case absent(reason: String)
    /// Devices that cannot be used; `reason` says why and gives the remedy.
    case unusable([DiscoveredDevice], reason: String)

    /// The devices, usable or not.
    public var devices: [DiscoveredDevice] {
        switch self {
        case .found(let devices), .unusable(let devices, _): devices
        case .absent: []
        }
    }

    /// Why the platform cannot be used; `nil` where it can.
    public var reason: String? {
        switch self {
        case .found(let devices): devices.isEmpty ? "no devices" : nil
        case .absent(let reason), .unusable(_, let reason): reason
        }
    }
}

/// A device that was found and not opened: one chip of a mesh, or the host.
public struct DiscoveredDevice: Sendable, Equatable {
    /// The device's name among those of its platform, for example `0`.
    public var name: String
    /// One line of description: processor or board.
    public var summary: String
    /// Further lines of description, for example the topology.
    public var details: [String]

    /// A device named `name`, described by `summary` and `details`.
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

    /// A catalogue of `platforms`, best first. Names are unique and none is `auto`.
    public init(_ platforms: [any DevicePlatform]) {
        precondition(Set(platforms.map(\.name) + ["auto"]).count == platforms.count + 1, "platform names are unique")
        self.platforms = platforms
    }

    /// The platform that the configuration's `device` names, or for `auto` the first that can be used.
    ///
    /// - Parameter log: receives a warning for a platform that has devices and cannot be used.
    /// - Throws: `ConfigurationError.unknownDevice`, or `.noDevice` with each platform's reason.
    public func choose(
        _ configuration: EngineConfiguration, log: DeviceLog = { _, _ in }
    ) throws(ConfigurationError) -> any DevicePlatform {
        let device = configuration.device
        let candidates = platforms.filter { device == "auto" || $0.name == device }
        if candidates.isEmpty, device != "auto" {
            throw .unknownDevice(device, known: platforms.map(\.name) + ["auto"])
        }
        var reasons: [String] = []
        for platform in candidates {
            let discovery = platform.discover(configuration)
            guard let reason = discovery.reason else { return platform }
            reasons.append("\(platform.name): \(reason)")
            if !discovery.devices.isEmpty { log(.warning, "\(platform.name) is passed over: \(reason)") }
        }
        throw .noDevice(reasons: reasons)
    }
}
