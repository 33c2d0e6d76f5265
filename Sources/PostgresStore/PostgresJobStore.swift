// The job store in a PostgreSQL database, which daemons of several hosts share.
//
// Its extensions in the folders contain the operations.

package import PostgresClient
package import Runtime
public import StoreContract

/// The queue in a PostgreSQL database.
///
/// A daemon has four connections, each with its purpose, so that none waits for another's statement. They are made when they are
/// needed, and again after they were lost. What a call did whose connection was lost is not known; every method may be repeated
/// then.
public final class PostgresJobStore: JobStore, FileKeeping {
    /// The server and the database, without a password.
    public let location: String
    /// Rows that one transaction writes at most, where many are written.
    static let chunkRows = 4096

    let address: PostgresAddress
    let claims: PostgresSession
    let completions: PostgresSession
    let keeping: PostgresSession
    let reading: PostgresSession
    /// The folder whose lock says that a daemon of this machine runs.
    let stateDirectory: String

    /// Opens a queue. Its tables are made or changed if necessary.
    ///
    /// - Parameters:
    ///   - stateDirectory: a folder of this daemon's own on this machine.
    ///   - patience: how long one call may take.
    package init(
        _ address: PostgresAddress, stateDirectory: String, patience: Duration = .seconds(10), at now: Milliseconds
    ) throws(JobStoreError) {
        self.address = address
        self.stateDirectory = stateDirectory
        location = "\(address)"
        claims = PostgresSession(address, for: "claims", patience: patience)
        completions = PostgresSession(address, for: "results", patience: patience)
        keeping = PostgresSession(address, for: "keeper", patience: patience)
        reading = PostgresSession(address, for: "reader", patience: patience)
        let location = location
        try keeping.use { try PostgresSchema.migrate(&$0, location: location, at: now) }
    }

    /// Runs queries.
    func read<Result: Sendable>(
        _ query: (inout PostgresConnection) throws -> Result
    ) throws(JobStoreError) -> Result {
        try reading.use(query)
    }

    /// Runs a transaction for what people do.
    func act<Result: Sendable>(
        _ operation: (inout PostgresConnection) throws -> Result
    ) throws(JobStoreError) -> Result {
        try keeping.use { try $0.transaction(operation) }
    }
}
