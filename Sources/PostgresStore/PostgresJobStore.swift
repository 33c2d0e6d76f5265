// The job store in a PostgreSQL database, which daemons of several hosts share.
//
// Its extensions in the folders contain the operations.

package import PostgresClient
package import Runtime
public import StoreContract
import Synchronization

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
    /// How long one call may take.
    let patience: Duration
    private let knownIdentity = Mutex<[UInt8]?>(nil)

    /// Opens a queue. Its tables are made or changed if necessary.
    ///
    /// - Parameters:
    ///   - stateDirectory: a folder of this daemon's own on this machine.
    ///   - patience: how long one call may take.
    package convenience init(
        _ address: PostgresAddress, stateDirectory: String, patience: Duration = .seconds(10), at now: Milliseconds
    ) throws(JobStoreError) {
        self.init(address, stateDirectory, patience)
        let location = location
        try keeping.use {
            try $0.checkSessionIsKept(address)
            try PostgresSchema.migrate(&$0, location: location, at: now)
            try $0.setClock()
        }
    }

    /// Opens a queue that exists, and changes nothing.
    /// - Throws: `.notFound` if there is none.
    package convenience init(
        readingFrom address: PostgresAddress, stateDirectory: String, patience: Duration = .seconds(10)
    ) throws(JobStoreError) {
        self.init(address, stateDirectory, patience)
        let location = location
        try reading.use {
            try $0.checkSessionIsKept(address)
            try PostgresSchema.check(&$0, location: location)
            try $0.setClock()
        }
    }

    private init(_ address: PostgresAddress, _ stateDirectory: String, _ patience: Duration) {
        self.address = address
        self.stateDirectory = stateDirectory
        self.patience = patience
        location = "\(address)"
        claims = PostgresSession(address, for: "claims", patience: patience)
        completions = PostgresSession(address, for: "results", patience: patience)
        keeping = PostgresSession(address, for: "keeper", patience: patience)
        reading = PostgresSession(address, for: "reader", patience: patience)
    }

    /// Whose lives these are, as it is stored. Their numbers may be given out again, to others, when another server takes over that
    /// has not heard of them.
    var identity: [UInt8] {
        knownIdentity.withLock { known in
            let identity = known ?? StateDirectory.identity(stateDirectory).stored
            known = identity
            return identity
        }
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
        try claims.use { try $0.transaction(operation) }
    }
}
