// A key of the server as the store has it: everything but its text.

public import Runtime

/// A key with which programs and people ask the server.
public struct ServerKey: Hashable, Sendable {
    /// What its owner calls it; no other key has this name.
    public let name: String
    /// The public part of its text, by which it is found; unique.
    public let publicID: String
    /// Whose batches and files its holder sees.
    public let tenant: Tenant
    /// What its holder may do; at least one.
    public let scopes: Set<KeyScope>
    /// The salted hash of its text, with method and salt, as crypt(3) writes it.
    public let hash: String
    /// When it was made.
    public let created: Milliseconds

    /// Makes a key from its parts.
    public init(
        name: String, publicID: String, tenant: Tenant, scopes: Set<KeyScope>, hash: String, created: Milliseconds
    ) {
        precondition(!scopes.isEmpty, "a key without a scope is good for nothing")
        self.name = name
        self.publicID = publicID
        self.tenant = tenant
        self.scopes = scopes
        self.hash = hash
        self.created = created
    }
}
