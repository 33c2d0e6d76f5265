// The program's version.

/// The version that `ttbatch --version` prints and that each incarnation records.
public enum Version {
    /// Semantic version.
    public static let current = "0.1.0"
}
