// An open Tenstorrent mesh: which chips, opened how, and the models that its interpreter has.

import TTPlatform

/// A mesh that a bridge process holds.
final class TTNNMeshDevice: MeshDevice {
    let platformName = "ttnn"
    let meshShape: MeshShape
    let chipArchitecture: ChipArchitecture?
    let summary: String
    let models: ModelRegistry
    let warnings: [ConfigurationWarning]
    let bridge: Bridge

    /// Asks the bridge what there is, decides what to open (contract §2.3, §2.5, §2.6), and opens it.
    ///
    /// - Parameter selection: the mesh asked for; all chips in one row where not given.
    /// - Throws: `ConfigurationError`, `TTNNError` or `DeviceFault`; the caller ends the bridge then.
    init(_ bridge: Bridge, selection: MeshSelection?, tt: TTConfig) throws {
        let seconds = bridge.configuration.openDeadline
        let found: DescribeAnswer = try bridge.request(.describe, NoHeader(), seconds: seconds)
        let cluster = ClusterType(
            name: found.clusterType, architecture: found.architecture.contains("blackhole") ? .blackhole : .wormhole)
        meshShape = try MeshSelection.resolve(selection, availableDevices: found.deviceIds.count)
        let fabric = FabricConfig.resolve(tt.fabricConfig, shape: meshShape, architecture: cluster.architecture)
        let axis = try DispatchCoreAxis.check(tt.dispatchCoreAxis, architecture: cluster.architecture)
        let header = OpenHeader(
            rows: meshShape.rows, columns: meshShape.columns, fabricConfig: fabric.flatMap { $0.settable?.rawValue },
            fabricReliabilityMode: fabric?.settable == nil ? nil : tt.fabricReliabilityMode?.rawValue,
            traceRegionSize: tt.traceRegionBytes(on: cluster), workerL1Size: tt.workerL1Size,
            l1SmallSize: tt.l1SmallSize, numCommandQueues: tt.numCommandQueues, dispatchCoreAxis: axis?.rawValue)
        let opened: OpenAnswer = try bridge.request(.open, header, seconds: seconds)
        guard opened.deviceCount == meshShape.deviceCount else {
            throw DeviceFault(
                operation: BridgeRequest.open.operation,
                reason: "the mesh has \(opened.deviceCount) chips, not \(meshShape.deviceCount)")
        }
        models = try Self.models(bridge)
        chipArchitecture = cluster.architecture
        let words = fabric.map { ", fabric \($0.rawValue)" } ?? ""
        summary = "\(cluster.name) (\(found.architecture)), mesh \(meshShape)\(words)"
        warnings = Self.warnings(tt, cluster)
        self.bridge = bridge
    }

    deinit { close() }

    func close() { bridge.shutDown() }

    private static func models(_ bridge: Bridge) throws -> ModelRegistry {
        var registry = ModelRegistry()
        if let modelClass = bridge.configuration.modelClass {
            registry.registerForAll(factory(modelClass))
            return registry
        }
        let answer: ModelsAnswer = try bridge.request(
            .models, ModelsHeader(extraModelsDir: bridge.configuration.extraModelsDir),
            seconds: bridge.configuration.openDeadline)
        for (architecture, modelClass) in answer.classes where architecture.hasPrefix("TT") {
            registry.register(architecture, factory(modelClass))
        }
        return registry
    }

    private static func factory(_ modelClass: String) -> ModelRegistry.Factory {
        { initialization, device in
            guard let mesh = device as? TTNNMeshDevice else {
                throw DeviceFault(
                    operation: BridgeRequest.load.operation, reason: "\(device.platformName) is no Tenstorrent mesh",
                    repeats: true)
            }
            return try TTNNModel(modelClass, initialization, mesh)
        }
    }

    private static func warnings(_ tt: TTConfig, _ cluster: ClusterType) -> [ConfigurationWarning] {
        guard let given = tt.traceRegionBytes(on: cluster), given < cluster.traceRegionBytes else { return [] }
        return [
            ConfigurationWarning(
                key: "trace_region_size",
                message: "\(given) is less than the \(cluster.traceRegionBytes) bytes that an 8B model needs on "
                    + cluster.name)
        ]
    }
}

extension FabricConfig {
    /// Itself, unless it is none: that is what a mesh has where nothing was set.
    fileprivate var settable: FabricConfig? { self == .disabled ? nil : self }
}
