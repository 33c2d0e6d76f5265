// An open Tenstorrent mesh and the model class that it was opened for.

import ModelFiles
import Platform
import TTNNSettings

/// A mesh that a bridge process owns.
final class TTNNMeshDevice: MeshDevice {
    let platform = PlatformTraits.ttnn
    let meshShape: MeshShape
    let chipArchitecture: ChipArchitecture?
    let summary: String
    let arithmetic: String
    let models: ModelRegistry<TTNNMeshDevice>
    let warnings: [ConfigurationWarning]
    let defaultTraceMode: TraceMode?
    /// `module:Class` of the model that the mesh is for.
    let modelClass: String
    let bridge: Bridge
    private let clusterArchitecture: ChipArchitecture

    /// Asks the bridge for the chips, decides what to open, and opens it (TT contract §2.3, §2.5, §2.6). The model's
    /// class is imported first, since it may require a fabric.
    ///
    /// - Parameter selection: the configured mesh; by default all chips in one row.
    /// - Throws: `ConfigurationError`, `TTNNError` or `DeviceFault`; the caller ends the bridge then.
    init(_ bridge: Bridge, for model: ModelConfig, selection: MeshSelection?, tt: TTConfig) throws {
        let seconds = bridge.configuration.openDeadline
        let found: DescribeAnswer = try bridge.request(.describe, NoHeader(), seconds: seconds)
        let cluster = ClusterType(
            name: found.clusterType, architecture: found.architecture.contains("blackhole") ? .blackhole : .wormhole)
        meshShape = try MeshSelection.resolve(selection, availableDevices: found.deviceIds.count)
        modelClass = try Self.modelClass(bridge, for: model)
        let chosen: ChooseAnswer = try bridge.request(
            .choose, ChooseHeader(modelClass: modelClass, hfModel: bridge.configuration.hfModel ?? model.checkpoint),
            seconds: seconds)
        defaultTraceMode = TraceMode(rawValue: chosen.defaultTraceMode)
        // The class's own fabric is set with all its parameters, which only the bridge has.
        let isOwnFabric = chosen.fabricConfig != nil && tt.fabricConfig == nil && meshShape.deviceCount > 1
        let fabric =
            isOwnFabric
            ? nil : FabricConfig.resolve(tt.fabricConfig, shape: meshShape, architecture: cluster.architecture)
        let axis = try DispatchCoreAxis.check(tt.dispatchCoreAxis, architecture: cluster.architecture)
        let header = OpenHeader(
            rows: meshShape.rows, columns: meshShape.columns, fabricConfig: fabric.flatMap { $0.settable?.rawValue },
            usesClassFabric: isOwnFabric,
            fabricReliabilityMode:
                fabric?.settable == nil && !isOwnFabric ? nil : tt.fabricReliabilityMode?.rawValue,
            traceRegionSize: tt.traceRegionBytes(on: cluster), workerL1Size: tt.workerL1Size,
            l1SmallSize: tt.l1SmallSize, numCommandQueues: tt.numCommandQueues, dispatchCoreAxis: axis?.rawValue)
        let opened: OpenAnswer = try bridge.request(.open, header, seconds: seconds)
        guard opened.deviceCount == meshShape.deviceCount else {
            throw DeviceFault(
                operation: BridgeRequest.open.operation,
                reason: "the mesh has \(opened.deviceCount) chips, not \(meshShape.deviceCount)")
        }
        models = Self.models()
        chipArchitecture = cluster.architecture
        clusterArchitecture = cluster.architecture
        let fabricName = isOwnFabric ? chosen.fabricConfig : fabric?.rawValue
        let words = fabricName.map { ", fabric \($0)" } ?? ""
        summary = "\(cluster.name) (\(found.architecture)), mesh \(meshShape)\(words)"
        let checkpoint = bridge.configuration.hfModel ?? model.checkpoint ?? model.name
        arithmetic = "\(summary), \(modelClass) of \(checkpoint)"
        warnings = Self.warnings(tt, cluster)
        self.bridge = bridge
    }

    deinit { close() }

    func close() { bridge.shutDown() }

    /// The number that the class gives; if it gives none, the contract's table, searched by the checkpoint's name.
    func maxTokensAllUsers(of model: ModelConfig, maxModelLen: Int, maxNumSeqs: Int) throws -> Int? {
        let answer: LimitsAnswer = try bridge.request(
            .limits,
            LimitsHeader(
                numDevices: meshShape.deviceCount, ttDataParallel: 1, maxModelLen: maxModelLen, maxNumSeqs: maxNumSeqs),
            seconds: bridge.configuration.openDeadline)
        return answer.maxTokensAllUsers
            ?? KVBlockCount.maxTokensAllUsers(
                model: bridge.configuration.hfModel ?? model.name, deviceCount: meshShape.deviceCount,
                architecture: clusterArchitecture)
    }

    /// The class that the configuration names, or the class registered for an architecture of the model.
    private static func modelClass(_ bridge: Bridge, for model: ModelConfig) throws -> String {
        if let modelClass = bridge.configuration.modelClass { return modelClass }
        let answer: ModelsAnswer = try bridge.request(
            .models, ModelsHeader(extraModelsDir: bridge.configuration.extraModelsDir),
            seconds: bridge.configuration.openDeadline)
        let tried = try TTPlatform.ttArchitectures(of: model)
        guard let modelClass = tried.lazy.compactMap({ answer.classes[$0] }).first else {
            throw ConfigurationError.noModel(
                model: model.name, tried: tried, known: answer.classes.keys.sorted(), platform: PlatformTraits.ttnn.name
            )
        }
        return modelClass
    }

    /// A registry with the model that the mesh was opened for, for any architecture.
    private static func models() -> ModelRegistry<TTNNMeshDevice> {
        var registry = ModelRegistry<TTNNMeshDevice>()
        registry.registerForAll { initialization, mesh in try TTNNModel(initialization, mesh) }
        return registry
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
    /// Nil if the fabric is disabled, since a mesh has none by default.
    fileprivate var settable: FabricConfig? { self == .disabled ? nil : self }
}
