// A connection for one purpose, which is made anew after it was lost; its errors in the words of the store.

import PostgresClient
import StoreContract
import Synchronization

/// A connection that its users share, one at a time.
final class PostgresSession: Sendable {
    private let address: PostgresAddress
    private let purpose: String
    private let patience: Duration
    private let connection = Mutex<PostgresConnection?>(nil)

    init(_ address: PostgresAddress, for purpose: String, patience: Duration) {
        (self.address, self.purpose, self.patience) = (address, purpose, patience)
    }

    /// Ends the session on the server, and with it what that held.
    func close() { connection.withLock { $0 = nil } }

    /// Calls `body` with the connection.
    func use<Result: Sendable>(_ body: (inout PostgresConnection) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try connection.withLock { slot in
                var connection =
                    try slot.take() ?? PostgresConnection.connect(to: address, for: purpose, patience: patience)
                do {
                    let result = try body(&connection)
                    slot = consume connection
                    return result
                } catch {
                    // A server that became a standby would refuse everything from now on.
                    let isUseless = connection.isLost || (error as? PostgresError)?.state == .readOnly
                    if !isUseless { slot = consume connection }
                    throw error
                }
            }
        } catch {
            throw JobStoreError(error, at: address)
        }
    }
}

extension JobStoreError {
    /// An error of the client in the words of the store.
    init(_ error: any Error, at address: PostgresAddress) {
        if let error = error as? JobStoreError {
            self = error
            return
        }
        guard let error = error as? PostgresError else {
            self = .refused(server: "\(address)", reason: "\(error)")
            return
        }
        switch (error.kind, error.state) {
        case (.notConnected, _), (.outcomeUnknown, _), (_, .readOnly?):
            self = .unreachable(server: "\(address)", reason: error.reason)
        case (_, .diskFull?): self = .diskFull(path: "\(address)")
        case (_, .deadlock?), (_, .serializationFailure?), (_, .lockTimeout?), (_, .cancelled?):
            self = .busy(path: "\(address)")
        default: self = .refused(server: "\(address)", reason: error.reason)
        }
    }
}
