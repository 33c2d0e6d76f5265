// The platform that every machine has.

public import ModelFiles
public import Platform

/// The CPU as a platform.
public struct HostPlatform: DevicePlatform {
    /// The platform.
    public init() {}

    /// `host`.
    public var traits: PlatformTraits { .host }

    /// One device, described with hwloc's topology of the machine.
    public func discover(_ configuration: EngineConfiguration) -> PlatformDiscovery {
        do {
            let topology = try HostTopology()
            var device = DiscoveredDevice(name: "0", summary: topology.summary, details: topology.details)
            do {
                let groups = try topology.groups(configuration.dataParallelSize)
                for (replica, group) in zip(Replica.all(groups.count), groups) where groups.count > 1 {
                    device.details.append("\(replica): \(group)")
                }
                return .found([device])
            } catch {
                return .unusable([device], reason: error.description)
            }
        } catch {
            return .absent(reason: error.description)
        }
    }

    /// Checks everything without reading the weights: settings, kernels, the mesh, the file's tensors, and whether the
    /// free memory holds one sequence of maximum length.
    public func check(_ configuration: EngineConfiguration, for model: ModelConfig) throws {
        let checked = try TTPlatform.checkAndUpdateConfig(configuration, model: model, platform: traits)
        _ = try MeshSelection.resolve(configuration.meshDevice, availableDevices: 1)
        _ = try KernelSet.fromEnvironment()
        let bundle = try ModelBundle(path: model.path)
        let description = try bundle.description()
        _ = try DecoderTensors(bundle.weights, description)
        let layout = KVCacheLayout.ofOneBlock(
            description, blockSize: checked.blockSize, longest: checked.maxModelLen,
            type: HostModel.cacheType(checked.kvCacheDType, checked.tt.optimizations))
        let groups = zip(layout.shape.groups, layout.groups).map {
            (window: $0.window, bytesPerBlock: $1.blockBytes)
        }
        _ = try KVBlockCount.pool(
            checked, model: model.name, groups: groups, availableBytes: AvailableMemory.forCache())
    }

    /// Opens the host, or the replica's group of cores, with the configuration's threads.
    ///
    /// - Throws: `ConfigurationError.contradiction` for any other mesh than (1, 1).
    public func openMeshDevice(
        _ configuration: EngineConfiguration, for model: ModelConfig, as replica: Replica, user: DeviceUser
    ) throws -> any MeshDevice {
        _ = try MeshSelection.resolve(configuration.meshDevice, availableDevices: 1)
        return try HostMeshDevice(
            threads: configuration.threads, bindThreads: configuration.bindThreads, replica: replica)
    }
}

extension PlatformTraits {
    /// The CPU: no chips; the settings for processors and the KV cache's data type apply.
    static let host = PlatformTraits(
        name: "host", hasChips: false, computesOnProcessors: true, choosesKVCacheDType: true)
}
