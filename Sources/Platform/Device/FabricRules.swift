// How the chips of a mesh are connected and where dispatch runs, unless configured (TT contract §2.5).

/// Generations of Tenstorrent chips.
public enum ChipArchitecture: String, Sendable, CaseIterable {
    /// N150, N300, T3K, Galaxy.
    case wormhole
    /// P100, P150, P300, Blackhole Galaxy.
    case blackhole
}

extension FabricConfig {
    /// The fabric to set before a mesh is opened; one chip has none, whatever is configured.
    public static func resolve(
        _ given: FabricConfig?, shape: MeshShape, architecture: ChipArchitecture
    ) -> FabricConfig? {
        if shape.deviceCount == 1 { return nil }
        return given ?? standard(shape: shape, architecture: architecture)
    }

    private static func standard(shape: MeshShape, architecture: ChipArchitecture) -> FabricConfig {
        guard shape.deviceCount == MeshName.galaxy.shape.deviceCount else { return .line }
        switch architecture {
        case .wormhole: return .ring
        case .blackhole: return .torusXY
        }
    }
}

extension DispatchCoreAxis {
    /// Checks the dispatch axis: Blackhole cannot dispatch from a row.
    ///
    /// - Throws: `ConfigurationError.unsupported`.
    public static func check(
        _ given: DispatchCoreAxis?, architecture: ChipArchitecture
    ) throws(ConfigurationError) -> DispatchCoreAxis? {
        if given == .row, architecture == .blackhole {
            throw .unsupported(
                key: "dispatch_core_axis", value: "row", reason: "Blackhole chips dispatch from a column",
                remedy: "set it to col or leave it out")
        }
        return given
    }
}
