// The types of cluster that ttnn distinguishes, and their default trace regions (TT contract §2.5).

/// A cluster by ttnn's name, with its chips' generation.
public struct ClusterType: Sendable, Equatable {
    /// ttnn's name, for example `N150` or `P150_X4`.
    public var name: String
    /// The chips' generation.
    public var architecture: ChipArchitecture

    /// A cluster called `name`.
    public init(name: String, architecture: ChipArchitecture) {
        self.name = name
        self.architecture = architecture
    }

    /// Bytes reserved for traces if the configuration gives none: the value shipped for an 8B model, or the contract's
    /// 50,000,000 for an unknown cluster.
    public var traceRegionBytes: Int { Self.traceRegions[name.uppercased()] ?? 50_000_000 }

    private static let traceRegions = [
        "N150": 52_000_000, "N300": 70_000_000, "T3K": 117_000_000, "P100": 90_000_000, "P150": 900_000_000,
        "P300": 56_000_000, "P300_X2": 155_000_000, "P150_X4": 70_000_000,
    ]
}
