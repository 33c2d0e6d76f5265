// The `tt:` section of the configuration: all `override_tt_config` keys (TT contract §2.1), typed.

/// Tenstorrent-specific settings. A key that is not given has the contract's default.
public struct TTConfig: Sendable, Equatable {
    /// Which steps sample on the device.
    public var sampleOnDeviceMode = SampleOnDeviceMode.decodeOnly
    /// Which steps are captured as traces.
    public var traceMode = TraceMode.all
    /// Whether the steps' shapes are run, and captured as traces, before the first request.
    public var enableModelWarmup = true
    /// Bytes reserved for traces, if configured; see `traceRegionBytes(on:)`.
    public var traceRegionSize: Int?
    /// L1 bytes of a worker core; by default the device decides.
    public var workerL1Size: Int?
    /// L1 bytes for small buffers; by default the device decides.
    public var l1SmallSize: Int?
    /// Command queues to open, 1 or 2; by default the device decides.
    public var numCommandQueues: Int?
    /// Whether dispatch cores take a row or a column; by default the device decides.
    public var dispatchCoreAxis: DispatchCoreAxis?
    /// How the chips are connected; by default `FabricConfig.standard` decides.
    public var fabricConfig: FabricConfig?
    /// What the fabric does about links that are down; by default the device decides.
    public var fabricReliabilityMode: FabricReliabilityMode?
    /// The trade-off between speed and precision; by default the model decides.
    public var optimizations: Optimizations?
    /// Whether the platform's test models may be used.
    public var registerTestModels = false
    /// Number of replicas; means the same as `data_parallel_size`.
    public var dataParallel: Int?
    /// The keys that are set, for warnings about those that have no effect.
    public private(set) var givenKeys: Set<String> = []

    /// All defaults.
    public init() {}

    /// Bytes reserved for traces: the configured number or the cluster's default; none without tracing.
    public func traceRegionBytes(on cluster: ClusterType) -> Int? {
        traceMode == .none ? nil : traceRegionSize ?? cluster.traceRegionBytes
    }
}

extension TTConfig: ConfigurationSection {
    /// Keys that have an effect on Tenstorrent hardware only.
    public static let hardwareKeys: Set<String> = [
        "trace_region_size", "worker_l1_size", "l1_small_size", "num_command_queues", "dispatch_core_axis",
        "fabric_config", "fabric_reliability_mode",
    ]

    /// Reads the section.
    ///
    /// - Throws: `ConfigurationError` that names the key, the value and what is allowed.
    public init(parsing values: [String: ConfigurationValue]) throws(ConfigurationError) {
        try self.init(section: values)
    }

    /// The keys of the section, and what their values may be.
    package mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        try reader.refuse(
            ["rank_binding", "mpi_args", "extra_ttrun_args", "config_pkl_dir", "env_passthrough"],
            reason: "belongs to an MPI launcher, and there is none here", remedy: "leave it out")
        givenKeys = reader.givenKeys
        sampleOnDeviceMode = try reader.choice("sample_on_device_mode") ?? sampleOnDeviceMode
        traceMode = try Self.traceMode(reader) ?? traceMode
        enableModelWarmup = try reader.boolean("enable_model_warmup") ?? enableModelWarmup
        traceRegionSize = try reader.integer("trace_region_size", in: 1...Int.max)
        workerL1Size = try reader.integer("worker_l1_size", in: 1...Int.max)
        l1SmallSize = try reader.integer("l1_small_size", in: 0...Int.max)
        numCommandQueues = try reader.integer("num_command_queues", in: 1...2)
        dispatchCoreAxis = try reader.choice("dispatch_core_axis")
        fabricConfig = try reader.choice("fabric_config")
        fabricReliabilityMode = try reader.choice("fabric_reliability_mode")
        if try reader.boolean("always_compat_sampling") == true {
            throw .unsupported(
                key: "always_compat_sampling", value: "true", reason: "rows fall back to the host one by one here",
                remedy: "use sample_on_device_mode: none to sample every row on the host")
        }
        optimizations = try reader.choice("optimizations")
        registerTestModels = try reader.boolean("register_test_models") ?? registerTestModels
        dataParallel = try reader.integer("data_parallel", in: 1...EngineConfiguration.mostReplicas)
    }

    /// A mode by name, or in the older form: true traces all steps, false none.
    private static func traceMode(_ reader: ConfigurationReader) throws(ConfigurationError) -> TraceMode? {
        switch reader.value("trace_mode") {
        case nil: return nil
        case .boolean(let traced): return traced ? .all : TraceMode.none
        case .string(let text) where TraceMode(rawValue: text) != nil: return TraceMode(rawValue: text)
        case .some(let other):
            let allowed = TraceMode.allCases.map(\.rawValue).joined(separator: ", ")
            throw .invalidValue(key: "trace_mode", value: other, expected: "true, false or one of: \(allowed)")
        }
    }
}
