// The kinds of cluster that ttnn tells apart, and what each needs by default (TT contract §2.5).

/// A cluster as ttnn names it, with its chips' generation.
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

    /// Bytes set aside for traces where the configuration does not say: what is shipped with an 8B model, and the contract's
    /// 50,000,000 for clusters that are not known.
    public var traceRegionBytes: Int { Self.traceRegions[name.uppercased()] ?? 50_000_000 }

    private static let traceRegions = [
        "N150": 52_000_000, "N300": 70_000_000, "T3K": 117_000_000, "P100": 90_000_000, "P150": 900_000_000,
        "P300": 56_000_000, "P300_X2": 155_000_000, "P150_X4": 70_000_000,
    ]
}
