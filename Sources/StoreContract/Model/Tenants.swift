// Whose batches and files they are, where several people use one server.

/// The owner of batches and files that came over HTTP.
public struct Tenant: RawRepresentable, Hashable, Sendable, Codable {
    /// Its name.
    public let rawValue: String

    /// Wraps a name.
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// What a key of the server lets its holder do.
public enum KeyScope: String, Hashable, Sendable, CaseIterable {
    /// Make files and batches, ask online, and read what is the tenant's.
    case submit
    /// Read what is the tenant's.
    case read
    /// Everything, of every tenant.
    case admin
    /// Read the metrics.
    case metrics
}
