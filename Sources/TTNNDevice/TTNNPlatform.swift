// The Tenstorrent platform: discovers cards, checks whether they can be used, and opens a mesh of them.

import Foundation
public import ModelFiles
public import Platform
public import TTNNSettings

/// Tenstorrent cards in this machine, used through a bridge process that runs `ttnn`.
///
/// Cards are discovered from the host without opening them, since probing and opening must happen in one process
/// (TT contract §2.6).
public struct TTNNPlatform: DevicePlatform {
    private let settings: BridgeConfiguration
    private let paths: SystemPaths
    private let environment: [String: String]
    /// Shared by all bridges.
    private let recovery: DeviceRecovery

    /// A platform that reads `paths` and starts bridges with `environment`, by default this process's.
    ///
    /// - Parameter settings: the `bridge:` section of the configuration.
    public init(
        _ settings: BridgeConfiguration, paths: SystemPaths = SystemPaths(), environment: [String: String]? = nil
    ) {
        self.settings = settings
        self.paths = paths
        recovery = DeviceRecovery(paths: paths)
        self.environment = environment ?? ProcessInfo.processInfo.environment
    }

    /// The traits of `ttnn`.
    public var traits: PlatformTraits { .ttnn }

    /// The cards, and the reason if they cannot be used.
    public func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery {
        let cards = Card.all(paths)
        let replicas = visibleDevices(cards).lines(replicas: configuration.dataParallelSize)
        if let cluster = mockCluster {
            let device = DiscoveredDevice(
                name: "mock", summary: "chips of \(cluster), which are not there", details: replicas)
            return withInterpreter([device])
        }
        guard !cards.isEmpty else { return .absent(reason: "no Tenstorrent card on the PCI bus") }
        let driver = tenstorrentDriverVersion(paths)
        var devices = cards.map { $0.device(driver: driver) }
        devices[0].details += replicas
        if let reason = Self.problem(cards, driver) { return .unusable(devices, reason: reason) }
        return withInterpreter(devices)
    }

    /// Starts a bridge, which opens the mesh that the configuration or MESH_DEVICE selects, on the replica's part of
    /// the visible devices.
    ///
    /// - Throws: `TTNNError`, `ConfigurationError`, or a `DeviceFault` if another attempt may succeed.
    public func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice {
        var selection = configuration.meshDevice
        if selection == nil, let name = environment["MESH_DEVICE"], !name.isEmpty {
            selection = try MeshSelection(parsing: .string(name))
        }
        let visible = visibleDevices(replica.count == 1 ? [] : Card.all(paths))
        var variables = bridgeEnvironment
        variables["TT_VISIBLE_DEVICES"] = try visible.part(of: replica)
        if settings.hfModel == nil, let checkpoint = model.checkpoint { variables["HF_MODEL"] = checkpoint }
        let bridge = try Bridge(settings, environment: variables, recovery: recovery, user: user)
        do {
            return try TTNNMeshDevice(bridge, for: model, selection: selection, tt: configuration.tt)
        } catch {
            bridge.shutDown()
            throw error
        }
    }

    /// The environment of the bridge: the daemon's own, with the configuration's settings.
    private var bridgeEnvironment: [String: String] {
        var variables = environment
        variables["TT_VISIBLE_DEVICES"] = visibleDevices([]).named
        if let model = settings.hfModel { variables["HF_MODEL"] = model }
        if let directory = settings.extraModelsDir { variables["EXTRA_MODELS_DIR"] = directory }
        return variables
    }

    private func visibleDevices(_ cards: [Card]) -> VisibleDevices {
        let given = environment["TT_VISIBLE_DEVICES"].flatMap { $0.isEmpty ? nil : $0 }
        return VisibleDevices(named: settings.visibleDevices ?? given, cards: cards.compactMap(\.number))
    }

    /// The cluster description for a mock mesh, which ttnn opens without cards.
    private var mockCluster: String? {
        environment["TT_METAL_MOCK_CLUSTER_DESC_PATH"].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func problem(_ cards: [Card], _ driver: String?) -> String? {
        guard driver != nil else {
            return "the kernel driver is not loaded: install tt-kmd, then `sudo modprobe tenstorrent`"
        }
        if let card = cards.first(where: { $0.node == nil }) {
            return "the driver has no device node for the card at \(card.address): look at `dmesg | grep tenstorrent`"
        }
        if let node = cards.compactMap(\.node).first(where: { !$0.isAccessible }) {
            return
                "\(node.path) may not be read and written by this user: install tt-kmd's udev rules, or `sudo chmod 666`"
        }
        return nil
    }

    private func withInterpreter(_ devices: [DiscoveredDevice]) -> PlatformDiscovery {
        do {
            let probe = try InterpreterProbe.run(settings, environment: bridgeEnvironment)
            if let problem = probe.problem {
                return .unusable(devices, reason: "\(settings.python) (Python \(probe.python)): \(problem)")
            }
            if let problem = probe.noClass(settings) { return .unusable(devices, reason: problem) }
            return .found(
                devices.map { device in
                    DiscoveredDevice(
                        name: device.name, summary: device.summary, details: device.details + probe.lines)
                })
        } catch {
            return .unusable(devices, reason: "\(error)")
        }
    }
}

extension Card {
    /// The description of the card.
    fileprivate func device(driver: String?) -> DiscoveredDevice {
        var details = ["driver tt-kmd " + (driver ?? "not loaded")] + facts
        if let node { details.append(node.path + (node.isAccessible ? "" : " (no permission)")) }
        let place = memoryNode.map { ", NUMA node \($0)" } ?? ""
        return DiscoveredDevice(
            name: number ?? address,
            summary: (board.map { "\($0) (\(chip))" } ?? chip) + " at PCI \(address)\(place)", details: details)
    }
}

extension PlatformTraits {
    /// Tenstorrent hardware: chips compute, and the model's class decides the data type of the KV cache.
    static let ttnn = PlatformTraits(
        name: "ttnn", hasChips: true, computesOnProcessors: false, choosesKVCacheDType: false)
}
