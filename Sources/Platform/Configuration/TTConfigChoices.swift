// The values that the keys of the `tt:` section can take (TT contract §2.1).

/// Which steps sample tokens on the device.
public enum SampleOnDeviceMode: String, Sendable, CaseIterable {
    /// Prefill and decode steps.
    case all
    /// Decode steps; the first token of a request is sampled on the host.
    case decodeOnly = "decode_only"
    /// No step.
    case none

    /// Whether prefill steps sample on the device.
    public var samplesPrefill: Bool { self == .all }
    /// Whether decode steps sample on the device.
    public var samplesDecode: Bool { self != .none }
}

/// Which steps are captured as traces and replayed.
public enum TraceMode: String, Sendable, CaseIterable {
    /// Prefill and decode steps.
    case all
    /// Decode steps.
    case decodeOnly = "decode_only"
    /// No step.
    case none
}

/// Whether dispatch cores take a row or a column of the chip's grid.
public enum DispatchCoreAxis: String, Sendable, CaseIterable {
    /// A row; not on Blackhole.
    case row
    /// A column.
    case col
}

/// How the chips of a mesh are connected, with ttnn's names.
public enum FabricConfig: String, Sendable, CaseIterable {
    /// No fabric.
    case disabled = "DISABLED"
    /// A line.
    case line = "FABRIC_1D"
    /// A ring.
    case ring = "FABRIC_1D_RING"
    /// A line whose chips only exchange with their neighbours.
    case neighborExchange = "FABRIC_1D_NEIGHBOR_EXCHANGE"
    /// A grid.
    case grid = "FABRIC_2D"
    /// A grid whose rows are rings.
    case torusX = "FABRIC_2D_TORUS_X"
    /// A grid whose columns are rings.
    case torusY = "FABRIC_2D_TORUS_Y"
    /// A grid whose rows and columns are rings.
    case torusXY = "FABRIC_2D_TORUS_XY"
    /// As a mesh graph descriptor says.
    case custom = "CUSTOM"
}

/// What the fabric does about links that are down.
public enum FabricReliabilityMode: String, Sendable, CaseIterable {
    /// All links must be up.
    case strict = "STRICT_INIT"
    /// Starts with the links that are up.
    case relaxed = "RELAXED_INIT"
}
